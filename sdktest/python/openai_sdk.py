"""The official Python SDK against Weir: the checks that core in checks_test.go lists."""

import threading

import openai
from checks import KEY, MODEL, NARROW_URL, PROMPT, QUESTION, SHORT, URL, Deadline, equal, metric, piece, raises, run, tokenize

client = openai.OpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0)
narrow = openai.OpenAI(base_url=NARROW_URL + "/v1", api_key="not-needed", max_retries=0)
USER = [{"role": "user", "content": QUESTION}]


# vLLM's words, sent as the SDK sends what it does not know: keep the model from ending before the length that the checks count on,
# or let it pass its own end and be ended by everything else.
FULL, ENDLESS = {"min_tokens": SHORT}, {"ignore_eos": True}


def ask(messages=USER, c=client, **more):
    """A chat at temperature 0."""
    return c.chat.completions.create(model=MODEL, messages=messages, **{"temperature": 0, "max_tokens": SHORT, "extra_body": FULL, **more})


def complete(prompt=PROMPT, **more):
    return client.completions.create(model=MODEL, prompt=prompt, **{"temperature": 0, "max_tokens": SHORT, "extra_body": FULL, **more})


def text_of(answer):
    return answer.choices[0].message.content


def join(chunks):
    choices = [choice for chunk in chunks for choice in chunk.choices]
    return "".join(c.delta.content or "" for c in choices), "".join(c.finish_reason or "" for c in choices)


def chat():
    got = ask()
    assert got.id.startswith("chatcmpl-") and got.object == "chat.completion" and got.model == MODEL and got.created > 0, got
    equal([c.index for c in got.choices], [0])
    assert got.choices[0].message.role == "assistant" and text_of(got), got


def chat_stream():
    want = ask().choices[0]
    chunks = list(ask(stream=True))
    equal(join(chunks), (want.message.content, want.finish_reason))
    assert len(chunks) >= 3 and chunks[0].choices[0].delta.role == "assistant" and chunks[-1].choices[0].finish_reason, chunks
    equal({(c.id, c.object) for c in chunks}, {(chunks[0].id, "chat.completion.chunk")})
    # The SDK's own accumulator.
    with client.chat.completions.stream(model=MODEL, messages=USER, temperature=0, max_tokens=SHORT, extra_body=FULL) as stream:
        equal([e.content for e in stream if e.type == "content.done"], [want.message.content])


def include_usage():
    want = ask().usage
    assert all(c.usage is None and c.choices for c in ask(stream=True)), "usage was not asked for"
    *chunks, last = ask(stream=True, stream_options={"include_usage": True})
    assert all(c.usage is None for c in chunks), "usage before the end"
    equal(last.choices, [])
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        equal(getattr(last.usage, name), getattr(want, name))


def usage():
    got, want = ask().usage, tokenize(messages=USER)["count"]
    equal((got.prompt_tokens, got.completion_tokens, got.total_tokens), (want, SHORT, want + SHORT))


def roles():
    brief = "Be brief."
    for messages in (
        [{"role": "system", "content": brief}, *USER],
        [{"role": "developer", "content": brief}, *USER],
        [{"role": "system", "content": brief}, {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}, *USER],
    ):
        equal(ask(messages).usage.prompt_tokens, tokenize(messages=messages)["count"])


def parts():
    def listed(*texts):
        return [{"role": "user", "content": [{"type": "text", "text": text} for text in texts]}]

    plain, one = ask(), ask(listed(QUESTION))
    equal((text_of(one), one.usage.prompt_tokens), (text_of(plain), plain.usage.prompt_tokens))
    assert ask(listed(QUESTION, "And 3 + 4?")).usage.prompt_tokens > one.usage.prompt_tokens


def completion():
    got, counted = complete(), tokenize(prompt=PROMPT)
    assert got.id.startswith("cmpl-") and got.object == "text_completion" and got.choices[0].finish_reason == "length", got
    want = counted["count"]
    equal((got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens), (want, SHORT, want + SHORT))
    equal([c.text for c in complete(["Another", PROMPT]).choices][1:], [got.choices[0].text])
    equal(complete(counted["tokens"]).choices[0].text, got.choices[0].text)


def completion_stream():
    want = complete().choices[0]
    choices = [choice for chunk in complete(stream=True) for choice in chunk.choices]
    equal("".join(c.text for c in choices), want.text)
    equal([c.finish_reason for c in choices if c.finish_reason], [want.finish_reason])
    assert len(choices) >= 3, choices


def unicode():
    text = 'Grüße, 世界! 🌍🏳️‍🌈 e\u0301 \u2028 "\\\t</s>'
    whole = complete(text, echo=True).choices[0].text
    equal(whole[: len(text)], text)
    equal("".join(choice.text for chunk in complete(text, echo=True, stream=True) for choice in chunk.choices), whole)
    messages = [{"role": "user", "content": text}]
    equal(ask(messages).usage.prompt_tokens, tokenize(messages=messages)["count"])


def models():
    assert MODEL in [m.id for m in client.models.list()]
    one = client.models.retrieve(MODEL)
    assert one.id == MODEL and one.object == "model" and one.created > 0 and one.owned_by, one
    raises(openai.NotFoundError, lambda: client.models.retrieve("no-such-model"), code="model_not_found", param="model")


def logprobs():
    # Probabilities are the model's own, from which min_tokens then takes the end: only without it is the likeliest chosen.
    for t in ask(logprobs=True, top_logprobs=3, extra_body=ENDLESS).choices[0].logprobs.content:
        values = [top.logprob for top in t.top_logprobs]
        assert len(values) == 3 and values == sorted(values, reverse=True), t
        assert t.top_logprobs[0].token == t.token and values[0] == t.logprob <= 0, f"at temperature 0 the likeliest is chosen: {t}"
    choice = ask(logprobs=True).choices[0]
    equal(len(choice.logprobs.content), SHORT)
    # Marks of conversations are told as tokens and left out of the text.
    whole = b"".join(bytes(t.bytes) for t in choice.logprobs.content if not (t.token.startswith("<|") and t.token.endswith("|>")))
    equal(whole.decode(errors="ignore"), choice.message.content.replace("\ufffd", ""))
    got = complete(logprobs=2).choices[0].logprobs
    equal([len(x) for x in (got.tokens, got.token_logprobs, got.top_logprobs, got.text_offset)], [SHORT] * 4)
    assert all(len(top) >= 2 for top in got.top_logprobs), got


def n():
    one, two = text_of(ask()), ask(n=2)
    equal([(c.index, c.message.content) for c in two.choices], [(0, one), (1, one)])
    equal(two.usage.completion_tokens, 2 * SHORT)
    streamed = {0: "", 1: ""}
    for chunk in ask(n=2, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    equal(streamed, {0: one, 1: one})


def stop():
    end, want = piece(text_of(ask(extra_body=ENDLESS)))
    got = ask(stop=["never in there", end], extra_body=ENDLESS).choices[0]
    equal((got.message.content, got.finish_reason), (want, "stop"))
    equal(join(ask(stop=end, stream=True, extra_body=ENDLESS)), (want, "stop"))


def seed():
    one, again, other = (text_of(ask(temperature=2, seed=s)) for s in (1, 1, 2))
    equal(again, one)
    assert other != one, f"seeds 1 and 2 both give {one!r}"


def length():
    for limit in ({"max_tokens": 3}, {"max_tokens": None, "max_completion_tokens": 3}):
        limit["extra_body"] = {"min_tokens": 3}
        got = ask(**limit)
        equal((got.choices[0].finish_reason, got.usage.completion_tokens), ("length", 3))
        equal(join(ask(stream=True, **limit))[1], "length")


def bad_key():
    for key in ("wrong", KEY + "x", KEY[:-1]):
        raises(openai.AuthenticationError, lambda: ask(c=client.with_options(api_key=key)), status_code=401, code="invalid_api_key")


def unknown_model():
    def asked(**more):
        return client.chat.completions.create(model="weir-mimi", messages=USER, **more)

    raises(openai.NotFoundError, asked, status_code=404, code="model_not_found", param="model")
    raises(openai.NotFoundError, lambda: asked(stream=True), status_code=404, code="model_not_found", param="model")


def bad_field():
    raises(openai.BadRequestError, lambda: ask(temperature=9), status_code=400, param="temperature")
    raises(openai.BadRequestError, lambda: client.chat.completions.create(model=MODEL, messages=USER, extra_body={"temperture": 1}), param="temperture")


def too_long():
    text = "17 + 25, " * 20_000
    raises(openai.BadRequestError, lambda: ask([{"role": "user", "content": text}]), code="context_length_exceeded", param="messages")
    raises(openai.BadRequestError, lambda: complete(text), code="context_length_exceeded", param="prompt")


def no_key():
    ask(c=narrow)
    ask(c=narrow, extra_headers={"Authorization": openai.Omit()})


def retry():
    over = threading.Event()

    def flood():
        while not over.is_set():
            try:
                narrow.completions.create(model=MODEL, prompt=PROMPT, max_tokens=128, extra_body=ENDLESS)
            except openai.InternalServerError as e:
                equal(e.status_code, 503)

    clients = [threading.Thread(target=flood) for _ in range(3)]
    for c in clients:
        c.start()
    try:
        deadline, refused = Deadline(), None
        while not refused:
            deadline.check("a queue of one was never full under three clients")
            try:
                ask(c=narrow)
            except openai.InternalServerError as e:
                refused = e
        equal((refused.status_code, refused.code), (503, "overloaded"))
        assert int(refused.response.headers["retry-after"]) >= 1, refused.response.headers
        # The first answer that the SDK gets is a refusal, in all likelihood; the flood ends soon after, and the SDK's own next try succeeds.
        retried = 0
        while not retried:
            deadline.check("the SDK never had to try again")
            timer = threading.Timer(0.5, over.set)
            timer.start()
            patient = narrow.with_options(max_retries=5)
            retried = patient.chat.completions.with_raw_response.create(model=MODEL, messages=USER, max_tokens=SHORT).retries_taken
            timer.cancel()
    finally:
        over.set()
        for c in clients:
            c.join()


def cancel():
    # Eight answers as long as fit take a while, so that the client leaves in the middle; where a fast machine ends them before it
    # sees that, they are asked for again.
    counted = tokenize(messages=USER)
    room, before = counted["max_model_len"] - counted["count"], metric("weir_requests_total", 'outcome="canceled"')
    deadline = Deadline()
    while metric("weir_requests_total", 'outcome="canceled"') == before:
        deadline.check("no request was canceled")
        stream = ask(n=8, max_tokens=room, stream=True, extra_body=ENDLESS)
        for _ in range(3):
            next(stream)
        stream.close()
        while metric("weir_engine_sequences") or metric("weir_requests_in_flight"):
            deadline.check("sequences are left after their client")
    equal(metric("weir_engine_kv_blocks", 'state="used"'), 0)


run(
    chat, chat_stream, include_usage, usage, roles, parts, completion, completion_stream, unicode, models, logprobs, n, stop, seed,
    length, bad_key, unknown_model, bad_field, too_long, no_key, retry, cancel,
)
