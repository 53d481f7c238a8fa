"""LangChain's ChatOpenAI against Weir, as its documentation uses it."""

import asyncio

import openai
from checks import KEY, MODEL, QUESTION, SHORT, URL, equal, piece, raises, run, tokenize
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI


def model(**more):
    """A chat model at temperature 0 that does not end its answers before the length that the checks count on."""
    more = {"model": MODEL, "api_key": KEY, "temperature": 0, "max_tokens": SHORT, "max_retries": 0, "extra_body": {"min_tokens": SHORT}, **more}
    return ChatOpenAI(base_url=URL + "/v1", **more)


chat = model()
loop = asyncio.new_event_loop()  # one for all checks: models share connections, and these belong to the loop that opened them


def invoke():
    got = chat.invoke(QUESTION)
    assert isinstance(got, AIMessage) and got.content, got
    equal((got.response_metadata["finish_reason"], got.response_metadata["model_name"]), ("length", MODEL))
    chain = ChatPromptTemplate.from_messages([("user", "What is {a} + {b}?")]) | chat | StrOutputParser()
    equal(chain.invoke({"a": 17, "b": 25}), got.content)


def messages():
    asked = [SystemMessage("Be brief."), HumanMessage("Hello"), AIMessage("Hello!"), HumanMessage([{"type": "text", "text": QUESTION}])]
    plain = [("system", "Be brief."), ("user", "Hello"), ("assistant", "Hello!"), ("user", QUESTION)]
    equal(chat.invoke(asked).content, chat.invoke(plain).content)


def stream():
    chunks = list(chat.stream(QUESTION))
    assert len([c for c in chunks if c.content]) >= 3, chunks
    equal("".join(c.content for c in chunks), chat.invoke(QUESTION).content)


def stream_usage():
    chunks = list(model(stream_usage=True).stream(QUESTION))
    whole = chunks[0]
    for c in chunks[1:]:
        whole += c
    want = chat.invoke(QUESTION).usage_metadata
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        equal(whole.usage_metadata[name], want[name])


def batch():
    questions = [QUESTION, "What is 3 + 4?", "Hello", QUESTION]
    equal([m.content for m in chat.batch(questions)], [chat.invoke(q).content for q in questions])


def ainvoke():
    async def both():
        return await asyncio.gather(chat.ainvoke(QUESTION), chat.ainvoke(QUESTION))

    equal([m.content for m in loop.run_until_complete(both())], [chat.invoke(QUESTION).content] * 2)


def astream():
    async def joined():
        return "".join([c.content async for c in model().astream(QUESTION)])

    equal(loop.run_until_complete(joined()), chat.invoke(QUESTION).content)


def usage():
    got, want = chat.invoke(QUESTION).usage_metadata, tokenize(messages=[{"role": "user", "content": QUESTION}])["count"]
    equal((got["input_tokens"], got["output_tokens"], got["total_tokens"]), (want, SHORT, want + SHORT))


def stop():
    endless = model(extra_body={"ignore_eos": True})
    end, want = piece(endless.invoke(QUESTION).content)
    got = endless.invoke(QUESTION, stop=[end])
    equal((got.content, got.response_metadata["finish_reason"]), (want, "stop"))


def seed():
    one, again, other = (model(temperature=2, seed=s).invoke(QUESTION).content for s in (1, 1, 2))
    equal(again, one)
    assert other != one, f"seeds 1 and 2 both give {one!r}"


def logprobs():
    got = model(logprobs=True, top_logprobs=2).invoke(QUESTION).response_metadata["logprobs"]["content"]
    equal([len(t["top_logprobs"]) for t in got], [2] * SHORT)


def bad_key():
    raises(openai.AuthenticationError, lambda: model(api_key="wrong").invoke(QUESTION), status_code=401, code="invalid_api_key")


def unknown_model():
    raises(openai.NotFoundError, lambda: model(model="weir-mimi").invoke(QUESTION), status_code=404, code="model_not_found")


def too_long():
    # LangChain may give it a class of its own below the SDK's.
    raises(openai.BadRequestError, lambda: chat.invoke("17 + 25, " * 20_000), code="context_length_exceeded")


run(invoke, messages, stream, stream_usage, batch, ainvoke, astream, usage, stop, seed, logprobs, bad_key, unknown_model, too_long)
