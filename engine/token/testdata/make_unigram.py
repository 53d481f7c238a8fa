"""A tiny Unigram model with a normalisation table of its own, and what SentencePiece and tokenizers make of some texts.

    pip install sentencepiece==0.2.3 tokenizers==0.23.3 && python make_unigram.py

writes unigram.model, unigram.json (the same as a tokenizer.json) and unigram.golden.json beside this file.
"""
import json
import os

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

os.chdir(os.path.dirname(os.path.abspath(__file__)))
TEXT = """the cat sat on the mat and the other cat sat there
what is the hat that the cat had
a hat is a hat and a mat is a mat
this is that and that is this
she sees the sea and the sea sees her
no one knows what the other one knows
"""
with open("rules.tsv", "w") as f:
    for source, target in [("\ufb01", "fi"), ("\u00e9", "e"), ("e\u0301", "e"), ("A", "a"), ("ABC", "x"), ("\u200b", ""), ("\u3000", " ")]:
        f.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(TEXT.splitlines()), model_prefix="unigram", vocab_size=320, hard_vocab_limit=False, model_type="unigram",
    byte_fallback=True, user_defined_symbols=["<sep>", "hat"], normalization_rule_tsv="rules.tsv", minloglevel=2)
os.remove("rules.tsv")
os.remove("unigram.vocab")

STRINGS = ["", " ", "the cat", " the  cat ", "cat<sep>cat", "what hat", "hathat hat", "<s> the </s>", "zebra", "\ufb01ne caf\u00e9 cafe\u0301",
           "ABCD AB A", "\u200bthe\u200b", "\u3000sea\u3000sea", "\u4e2d\u6587 \U0001f600", "\n\t", "a\x00b", "sees seessees", "t" * 70, "the" * 50, "<0x41>"]
sp = sentencepiece.SentencePieceProcessor(model_file="unigram.model")
tk = Tokenizer(models.Unigram([(sp.id_to_piece(i), sp.get_score(i)) for i in range(sp.get_piece_size())], unk_id=0, byte_fallback=True))
tk.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
tk.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always")])
tk.save("unigram.json", pretty=False)
with open("unigram.golden.json", "w") as f:
    rows = {"sentencepiece": [], "tokenizers": []}
    for s in STRINGS:
        rows["sentencepiece"].append({"text": s, "ids": sp.encode(s), "decoded": sp.decode(sp.encode(s))})
        rows["tokenizers"].append({"text": s, "ids": tk.encode(s).ids, "decoded": tk.decode(tk.encode(s).ids)})
    json.dump(rows, f, indent=0)
    f.write("\n")
