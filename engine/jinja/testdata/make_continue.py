"""Continues last messages, and hands reasoning over, with transformers itself; continue.json is the result, which the Go package
is compared with. usage: make_continue.py > continue.json (transformers 5.23.0, jinja2 3.1.6)"""
import json

from transformers.utils import chat_template_utils as ctu

TEMPLATES = {
    "plain": "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}",
    "trims": "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</s>\n{% endfor %}",
    "parts": "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}</s>{% endfor %}",
    "strips": "{% for m in messages %}<{{ m.role }}>{{ m.content.strip('\\n') }}</s>{% endfor %}",
    "thinks": "{% for m in messages %}<{{ m.role }}>{{ m.content.split('</think>')[-1].lstrip('\\n') }}</s>{% endfor %}",
    "drops": "{% for m in messages %}{% if not loop.last %}{{ m.content }}{% endif %}{% endfor %}",
    "upper": "{% for m in messages %}<{{ m.role }}>{{ m.content | upper }}{% endfor %}",
    "twice": "{% for m in messages %}{{ m.content }}|{% endfor %}{{ messages[-1].content }}!",
    "blind": "{% for m in messages %}{{ m.role }}{% endfor %}",
    "reasons": "{% for m in messages %}{{ m | tojson }}\n{% endfor %}{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}",
}
U = {"role": "user", "content": "q"}
A = lambda content, **more: {"role": "assistant", "content": content, **more}
CHATS = [
    [U, A("Sure, ")], [U, A("Sure,")], [U, A("  Sure \n")], [U, A("Sure\n\n")], [U, A("")], [U, A(" ")], [U, A("q")], [U], [],
    [U, A("<think>\nhm\n</think>\n\nSo ")], [U, A("a\u3000")], [U, A(None)], [U, {"role": "assistant"}], [U, A(5)], [U, A({"a": 1})],
    [U, A([{"type": "text", "text": "one "}, {"type": "text", "text": "two "}])], [U, A([{"type": "text", "text": "one "}, {"type": "image"}])],
    [U, A([{"type": "image"}])], [U, A([])], [U, A("CONTINUE_FINAL_MESSAGE_TAG x ")],
    [U, A("x", reasoning="r")], [U, A("x", thinking="t")], [U, A("x", reasoning_content="c")], [U, A("x", reasoning="r", thinking="t")],
    [U, A("x", reasoning_content=None, reasoning="r")], [U, A("x", reasoning_content="", thinking="t")], [U, A("x", thinking=None)],
    [A("x", thinking="t", reasoning_content="c", reasoning="r"), U],
]

rows = []
for name, template in TEMPLATES.items():
    for chat in CHATS:
        for go_on in ((True, False) if name in ("plain", "reasons") else (True,)):
            row = {"template": name, "messages": chat, "continue": go_on}
            try:
                texts, _ = ctu.render_jinja_template([json.loads(json.dumps(chat))], chat_template=template, continue_final_message=go_on)
                row["text"] = texts[0]
            except Exception as e:
                row["error"] = type(e).__name__
            rows.append(row)

one = lambda v: json.dumps(v, ensure_ascii=True)
print("{\"templates\": " + one(TEMPLATES) + ",\n\"cases\": [\n" + ",\n".join(map(one, rows)) + "\n]}")
