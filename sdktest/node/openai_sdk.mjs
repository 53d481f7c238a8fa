// The official Node SDK against Weir: the checks that core in checks_test.go lists. Each check is one line of JSON on standard
// output; the last line says that the end was reached.
import assert from 'node:assert/strict'
import OpenAI from 'openai'

const { WEIR_URL: url, WEIR_KEY: key, WEIR_NARROW_URL: narrowURL, WEIR_MODEL: model } = process.env
const question = 'What is 17 + 25?'
const prompt = 'Count: one, two, three'
const short = 24 // tokens: several chunks, and within the context of the smallest test model
const patience = 20_000 // ms, for what the server must bring about

const client = new OpenAI({ baseURL: url + '/v1', apiKey: key, maxRetries: 0 })
const narrow = new OpenAI({ baseURL: narrowURL + '/v1', apiKey: 'not-needed', maxRetries: 0 })
const user = [{ role: 'user', content: question }]

// At temperature 0. The SDK sends fields that it does not know as they are, such as vLLM's: min_tokens keeps the model from ending
// before the length that the checks count on; ignore_eos lets it pass its own end and be ended by everything else.
const common = { model, temperature: 0, max_tokens: short, min_tokens: short }
const endless = { min_tokens: 0, ignore_eos: true }
const ask = (more = {}, c = client, options) => c.chat.completions.create({ ...common, messages: user, ...more }, options)
const complete = (more = {}) => client.completions.create({ ...common, prompt, ...more })
const textOf = (answer) => answer.choices[0].message.content

async function all(stream) {
  const chunks = []
  for await (const chunk of await stream) chunks.push(chunk)
  return chunks
}

function join(chunks) {
  const choices = chunks.flatMap((c) => c.choices)
  return [choices.map((c) => c.delta.content ?? '').join(''), choices.map((c) => c.finish_reason ?? '').join('')]
}

async function tokenize(body) {
  const headers = { Authorization: 'Bearer ' + key, 'Content-Type': 'application/json' }
  const response = await fetch(url + '/tokenize', { method: 'POST', headers, body: JSON.stringify({ model, ...body }) })
  assert.equal(response.status, 200)
  return response.json()
}

async function metric(name, label = '') {
  const response = await fetch(url + '/metrics', { headers: { Authorization: 'Bearer ' + key } })
  const samples = (await response.text()).split('\n').filter((line) => line.split(/[{ ]/)[0] === name && line.includes(label))
  return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

// deadline gives a check that fails after patience.
function deadline() {
  const at = Date.now() + patience
  return (what) => assert.ok(Date.now() < at, `${what} within ${patience} ms`)
}

async function rejects(kind, promise, want) {
  await assert.rejects(promise, (e) => {
    assert.ok(e instanceof kind, `${e?.constructor?.name}: ${e}`)
    for (const [name, value] of Object.entries(want)) assert.equal(e[name], value, `${name} of ${e}`)
    return true
  })
}

// piece takes two characters from the middle of an answer as a stop string, and gives what is left before them.
function piece(whole) {
  const runes = [...whole]
  for (let i = runes.length >> 1; i + 2 <= runes.length; i++) {
    const end = runes.slice(i, i + 2).join('')
    if (!end.includes('\ufffd')) return [end, whole.split(end)[0]]
  }
  assert.fail(`the answer ${JSON.stringify(whole)} has no two characters to stop at`)
}

const checks = {
  async chat() {
    const got = await ask()
    assert.match(got.id, /^chatcmpl-/)
    assert.deepEqual([got.object, got.model, got.choices.length, got.choices[0].message.role], ['chat.completion', model, 1, 'assistant'])
    assert.ok(textOf(got) && got.created > 0)
  },

  async chat_stream() {
    const want = (await ask()).choices[0]
    const chunks = await all(ask({ stream: true }))
    assert.deepEqual(join(chunks), [want.message.content, want.finish_reason])
    assert.ok(chunks.length >= 3 && chunks[0].choices[0].delta.role === 'assistant' && chunks.at(-1).choices[0].finish_reason)
    assert.ok(chunks.every((c) => c.id === chunks[0].id && c.object === 'chat.completion.chunk'))
    // The SDK's own accumulator.
    const runner = client.chat.completions.stream({ ...common, messages: user })
    assert.equal(await runner.finalContent(), want.message.content)
  },

  async include_usage() {
    const want = (await ask()).usage
    assert.ok((await all(ask({ stream: true }))).every((c) => c.usage == null && c.choices.length > 0), 'usage was not asked for')
    const chunks = await all(ask({ stream: true, stream_options: { include_usage: true } }))
    const last = chunks.pop()
    assert.ok(chunks.every((c) => c.usage == null), 'usage before the end')
    assert.deepEqual(last.choices, [])
    for (const name of ['prompt_tokens', 'completion_tokens', 'total_tokens']) assert.equal(last.usage[name], want[name])
  },

  async usage() {
    const { usage } = await ask()
    const { count } = await tokenize({ messages: user })
    assert.deepEqual([usage.prompt_tokens, usage.completion_tokens, usage.total_tokens], [count, short, count + short])
  },

  async roles() {
    const [system, developer] = ['system', 'developer'].map((role) => ({ role, content: 'Be brief.' }))
    const turns = [{ role: 'user', content: 'Hello' }, { role: 'assistant', content: 'Hello!' }]
    for (const messages of [[system, ...user], [developer, ...user], [system, ...turns, ...user]]) {
      assert.equal((await ask({ messages })).usage.prompt_tokens, (await tokenize({ messages })).count)
    }
  },

  async parts() {
    const listed = (...texts) => ({ messages: [{ role: 'user', content: texts.map((text) => ({ type: 'text', text })) }] })
    const [plain, one, two] = [await ask(), await ask(listed(question)), await ask(listed(question, 'And 3 + 4?'))]
    assert.deepEqual([textOf(one), one.usage.prompt_tokens], [textOf(plain), plain.usage.prompt_tokens])
    assert.ok(two.usage.prompt_tokens > one.usage.prompt_tokens)
  },

  async completion() {
    const got = await complete()
    const { count, tokens } = await tokenize({ prompt })
    assert.match(got.id, /^cmpl-/)
    assert.deepEqual([got.object, got.choices[0].finish_reason], ['text_completion', 'length'])
    assert.deepEqual([got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens], [count, short, count + short])
    const [, second, ...none] = (await complete({ prompt: ['Another', prompt] })).choices
    assert.deepEqual([second.text, none], [got.choices[0].text, []])
    assert.equal((await complete({ prompt: tokens })).choices[0].text, got.choices[0].text)
  },

  async completion_stream() {
    const want = (await complete()).choices[0]
    const choices = (await all(complete({ stream: true }))).flatMap((c) => c.choices)
    assert.equal(choices.map((c) => c.text).join(''), want.text)
    assert.deepEqual(choices.map((c) => c.finish_reason).filter(Boolean), [want.finish_reason])
    assert.ok(choices.length >= 3)
  },

  async unicode() {
    const text = 'Grüße, 世界! 🌍🏳️‍🌈 e\u0301 \u2028 "\\\t</s>'
    const whole = (await complete({ prompt: text, echo: true })).choices[0].text
    assert.equal(whole.slice(0, text.length), text)
    const chunks = await all(complete({ prompt: text, echo: true, stream: true }))
    assert.equal(chunks.flatMap((c) => c.choices).map((c) => c.text).join(''), whole)
    const messages = [{ role: 'user', content: text }]
    assert.equal((await ask({ messages })).usage.prompt_tokens, (await tokenize({ messages })).count)
  },

  async models() {
    const ids = []
    for await (const m of client.models.list()) ids.push(m.id)
    assert.ok(ids.includes(model), ids.join())
    const one = await client.models.retrieve(model)
    assert.deepEqual([one.id, one.object], [model, 'model'])
    await rejects(OpenAI.NotFoundError, client.models.retrieve('no-such-model'), { code: 'model_not_found', param: 'model' })
  },

  async logprobs() {
    // Probabilities are the model's own, from which min_tokens then takes the end: only without it is the likeliest chosen.
    for (const t of (await ask({ ...endless, logprobs: true, top_logprobs: 3 })).choices[0].logprobs.content) {
      const values = t.top_logprobs.map((top) => top.logprob)
      assert.deepEqual(values, values.toSorted((a, b) => b - a))
      assert.deepEqual([values.length, t.top_logprobs[0].token, values[0]], [3, t.token, t.logprob], 'at temperature 0 the likeliest is chosen')
    }
    const choice = (await ask({ logprobs: true })).choices[0]
    const tokens = choice.logprobs.content
    assert.equal(tokens.length, short)
    // Marks of conversations are told as tokens and left out of the text.
    const whole = Buffer.from(tokens.filter((t) => !/^<\|.*\|>$/.test(t.token)).flatMap((t) => t.bytes)).toString()
    assert.equal(whole.replaceAll('\ufffd', ''), choice.message.content.replaceAll('\ufffd', ''))
    const got = (await complete({ logprobs: 2 })).choices[0].logprobs
    assert.deepEqual([got.tokens, got.token_logprobs, got.top_logprobs, got.text_offset].map((x) => x.length), Array(4).fill(short))
  },

  async n() {
    const one = textOf(await ask())
    const two = await ask({ n: 2 })
    assert.deepEqual(two.choices.map((c) => [c.index, c.message.content]), [[0, one], [1, one]])
    assert.equal(two.usage.completion_tokens, 2 * short)
    const streamed = ['', '']
    for (const c of (await all(ask({ n: 2, stream: true }))).flatMap((c) => c.choices)) streamed[c.index] += c.delta.content ?? ''
    assert.deepEqual(streamed, [one, one])
  },

  async stop() {
    const [end, want] = piece(textOf(await ask(endless)))
    const got = (await ask({ ...endless, stop: ['never in there', end] })).choices[0]
    assert.deepEqual([got.message.content, got.finish_reason], [want, 'stop'])
    assert.deepEqual(join(await all(ask({ ...endless, stop: end, stream: true }))), [want, 'stop'])
  },

  async seed() {
    const [one, again, other] = [await ask({ temperature: 2, seed: 1 }), await ask({ temperature: 2, seed: 1 }), await ask({ temperature: 2, seed: 2 })].map(textOf)
    assert.equal(again, one)
    assert.notEqual(other, one)
  },

  async length() {
    for (const limit of [{ max_tokens: 3 }, { max_tokens: undefined, max_completion_tokens: 3 }]) {
      limit.min_tokens = 3
      const got = await ask(limit)
      assert.deepEqual([got.choices[0].finish_reason, got.usage.completion_tokens], ['length', 3])
      assert.equal(join(await all(ask({ ...limit, stream: true })))[1], 'length')
    }
  },

  async bad_key() {
    for (const apiKey of ['wrong', key + 'x', key.slice(0, -1)]) {
      await rejects(OpenAI.AuthenticationError, ask({}, client.withOptions({ apiKey })), { status: 401, code: 'invalid_api_key' })
    }
  },

  async unknown_model() {
    for (const stream of [false, true]) {
      await rejects(OpenAI.NotFoundError, ask({ model: 'weir-mimi', stream }), { status: 404, code: 'model_not_found', param: 'model' })
    }
  },

  async bad_field() {
    await rejects(OpenAI.BadRequestError, ask({ temperature: 9 }), { status: 400, param: 'temperature' })
    await rejects(OpenAI.BadRequestError, ask({ temperture: 1 }), { status: 400, param: 'temperture' })
  },

  async too_long() {
    const text = '17 + 25, '.repeat(20_000)
    const code = 'context_length_exceeded'
    await rejects(OpenAI.BadRequestError, ask({ messages: [{ role: 'user', content: text }] }), { status: 400, code, param: 'messages' })
    await rejects(OpenAI.BadRequestError, complete({ prompt: text }), { status: 400, code, param: 'prompt' })
  },

  async no_key() {
    await ask({}, narrow)
    await ask({}, narrow, { headers: { Authorization: null } })
  },

  async retry() {
    let over = false
    const flood = async () => {
      while (!over) {
        await narrow.completions.create({ model, prompt, max_tokens: 128, ignore_eos: true }).catch((e) => assert.equal(e.status, 503, e))
      }
    }
    const clients = [flood(), flood(), flood()]
    try {
      const check = deadline()
      let refused
      while (!refused) {
        check('a queue of one was never full under three clients')
        await ask({}, narrow).catch((e) => (refused = e))
      }
      assert.ok(refused instanceof OpenAI.InternalServerError, String(refused))
      assert.deepEqual([refused.status, refused.code], [503, 'overloaded'])
      assert.ok(Number(refused.headers.get('retry-after')) >= 1)
      // The first answer that the SDK gets is a refusal, in all likelihood; the flood ends with it, and the SDK's next try succeeds.
      let refusals = 0
      const watched = async (...request) => {
        const response = await fetch(...request)
        if (response.status === 503) {
          refusals++
          over = true
        }
        return response
      }
      const patient = new OpenAI({ baseURL: narrowURL + '/v1', apiKey: 'not-needed', fetch: watched })
      while (!refusals) {
        check('the SDK was never refused')
        await ask({}, patient)
      }
    } finally {
      over = true
      await Promise.all(clients)
    }
  },

  async cancel() {
    const { count, max_model_len } = await tokenize({ messages: user })
    const canceled = () => metric('weir_requests_total', 'outcome="canceled"')
    // Eight answers as long as fit take a while, so that the client leaves in the middle; where a fast machine ends them before it
    // sees that, they are asked for again. It leaves in both ways that the SDK has: by AbortController and by ending the loop.
    for (const abort of [true, false]) {
      const before = await canceled()
      const check = deadline()
      do {
        check('no request was canceled')
        const controller = new AbortController()
        const stream = await ask({ ...endless, n: 8, max_tokens: max_model_len - count, stream: true }, client, { signal: controller.signal })
        let seen = 0
        for await (const _ of stream) {
          if (++seen < 3) continue
          if (!abort) break
          controller.abort()
        }
        while ((await metric('weir_engine_sequences')) || (await metric('weir_requests_in_flight'))) check('sequences are left after their client')
      } while ((await canceled()) === before)
    }
    assert.equal(await metric('weir_engine_kv_blocks', 'state="used"'), 0)
  },
}

for (const [check, act] of Object.entries(checks)) {
  let detail = ''
  try {
    await act()
  } catch (e) {
    detail = e?.stack ?? String(e)
  }
  console.log(JSON.stringify({ check, ok: !detail, detail }))
}
console.log(JSON.stringify({ check: '', ok: true }))
