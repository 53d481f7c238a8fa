package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// kindOf names the file system that a folder is on, where it is one to be warned of.
func kindOf(dir string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return ""
	}
	return kinds[uint32(s.Type)]
}

var kinds = map[uint32]string{
	unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay",
	unix.NFS_SUPER_MAGIC: "nfs", unix.SMB_SUPER_MAGIC: "smb", unix.SMB2_SUPER_MAGIC: "smb", unix.CIFS_SUPER_MAGIC: "smb", unix.FUSE_SUPER_MAGIC: "fuse",
}

// syncData is the sync that commits use here.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
