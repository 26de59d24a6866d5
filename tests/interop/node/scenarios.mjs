// What each Node client does against the server; ../README.md tells the scenarios.
// Arguments: host, port, version, scenario, key. The result goes to stdout as JSON.

import { setTimeout as sleep } from 'node:timers/promises';

const EVERY_OCTET = Buffer.from([...Array(512).keys()].map((n) => n % 256));
const HEADERS = {
  colon: 'a:b::c',
  backslash: 'one\\two',
  path: 'c:\\new\\table\\\\',
  newline: 'one\ntwo\n',
  return: 'one\r\ntwo\r',
  utf8: 'Grüße, 日本, \u{1f40d}',
  spaces: '  kept  ',
  empty: '',
};

const numbered = (first, last) =>
  Array.from({ length: last - first + 1 }, (_, i) => `message ${first + i}`);

export async function run(connectTo) {
  const [host, port, version, scenario, key] = process.argv.slice(2);
  const queue = `/queue/${key}`;
  const topic = `/topic/${key}`;
  const client = (options = {}) => connectTo({ host, port: Number(port), version, ...options });

  const receive = async (from, count) => {
    const messages = [];
    while (messages.length < count) messages.push(await from.receive());
    return messages;
  };
  const bodies = async (from, count) => (await receive(from, count)).map((m) => m.body.toString());

  const drain = async () => {
    const one = await client();
    await one.send(queue, 'END');
    await one.subscribe(queue);
    const left = [];
    while (!left.includes('END')) left.push((await one.receive()).body.toString());
    await one.close();
    return left;
  };

  const fill = async (count) => {
    const one = await client();
    for (const text of numbered(1, count)) await one.send(queue, text);
    await one.close();
  };

  const step = async (one, seen, verb, ...rest) => {
    if (verb === 'subscribe') {
      const [id, destination, ack, headers] = rest;
      await one.subscribe(destination, ack, id, headers);
    } else if (verb === 'unsubscribe') {
      await one.unsubscribe(...rest);
    } else if (verb === 'send') {
      const [destination, body, headers] = rest;
      await one.send(destination, body, headers, 'sent');
    } else if (verb === 'receive') {
      seen.push(...(await receive(one, rest[0])));
    } else if (verb === 'reply') {
      await one.send(seen[rest[0]].headers['reply-to'], rest[1], {}, 'sent');
    } else {
      await one[verb](seen[rest[0]], rest[1]);
    }
  };

  const scenarios = {
    async order() {
      const one = await client();
      for (const text of numbered(1, 10)) await one.send(queue, text);
      await one.subscribe(queue);
      for (const text of numbered(11, 50)) await one.send(queue, text);
      const received = await bodies(one, 50);
      await one.close();
      return { version: one.negotiated, bodies: received };
    },

    async topic_to_two() {
      const [first, second] = [await client(), await client()];
      await first.subscribe(topic);
      await second.subscribe(topic);
      for (const text of numbered(1, 3)) await second.send(topic, text);
      const facts = { first: await bodies(first, 3), second: await bodies(second, 3) };
      await first.close();
      await second.close();
      return facts;
    },

    async ack_client() {
      await fill(5);
      const one = await client();
      await one.subscribe(queue, 'client');
      const received = [];
      for (let number = 1; number <= 3; number++) {
        const message = await one.receive();
        received.push(message.body.toString());
        if (version === '1.0' || number === 3) await one.ack(message);
      }
      await one.close();
      return { received, left: await drain() };
    },

    async ack_individual() {
      await fill(4);
      const one = await client();
      await one.subscribe(queue, 'client-individual');
      const messages = await receive(one, 4);
      await one.ack(messages[3]);
      await one.ack(messages[1]);
      await one.close();
      return { received: messages.map((m) => m.body.toString()), left: await drain() };
    },

    async nack() {
      await fill(2);
      const one = await client();
      await one.subscribe(queue, 'client-individual');
      const messages = await receive(one, 2);
      await one.nack(messages[0]);
      messages.push(await one.receive());
      await one.ack(messages[2]);
      await one.ack(messages[1]);
      await one.close();
      const deliveries = messages.map((m) => [m.body.toString(), m.headers.redelivered ?? 'false']);
      return { deliveries, left: await drain() };
    },

    async unsubscribe() {
      const one = await client();
      await one.subscribe(queue);
      await one.unsubscribe();
      await one.send(queue, 'later');
      await one.close();
      return { left: await drain() };
    },

    async transaction_commit() {
      const [reader, writer] = [await client(), await client()];
      await reader.subscribe(queue);
      await writer.begin('t1');
      await writer.send(queue, 'inside 1', { transaction: 't1' });
      await writer.send(queue, 'inside 2', { transaction: 't1' });
      await writer.send(queue, 'outside');
      const received = await bodies(reader, 1);
      await writer.commit('t1');
      received.push(...(await bodies(reader, 2)));
      await writer.close();
      await reader.close();
      return { bodies: received };
    },

    async transaction_abort() {
      const one = await client();
      await one.begin('t1');
      await one.send(queue, 'inside', { transaction: 't1' });
      await one.abort('t1');
      await one.send(queue, 'after');
      await one.close();
      return { left: await drain() };
    },

    async transaction_ack() {
      const facts = {};
      for (const ending of ['abort', 'commit']) {
        await fill(1);
        const one = await client();
        await one.subscribe(queue, version === '1.0' ? 'client' : 'client-individual');
        const message = await one.receive();
        await one.begin('t1');
        await one.ack(message, { transaction: 't1' });
        await one[ending]('t1');
        await one.close();
        facts[`after ${ending}`] = await drain();
      }
      return facts;
    },

    async binary() {
      const one = await client();
      await one.subscribe(queue);
      for (const body of [EVERY_OCTET, Buffer.alloc(0), Buffer.from('Grüße €\n')]) await one.send(queue, body);
      const received = (await receive(one, 3)).map((m) => m.body.toString('hex'));
      await one.close();
      return { bodies: received };
    },

    async receipts() {
      const one = await client();
      await one.subscribe(queue);
      await one.send(queue, '', {}, 'a receipt');
      await one.unsubscribe();
      await one.close();
      return { receipts: one.receipts };
    },

    async headers() {
      const sent = Object.fromEntries(process.env.INTEROP_HEADERS.split(',').map((n) => [n, HEADERS[n]]));
      const one = await client();
      await one.subscribe(queue);
      await one.send(queue, 'body', { ...sent });
      const { headers } = await one.receive();
      await one.close();
      return { sent, received: Object.fromEntries(Object.keys(sent).map((n) => [n, headers[n]])) };
    },

    async error() {
      const one = await client();
      return one.provoke('no such transaction');
    },

    async login() {
      const { INTEROP_LOGIN: login, INTEROP_PASSCODE: passcode } = process.env;
      let one;
      try {
        one = await client({ login, passcode });
      } catch (refusal) {
        return { connected: false, text: String(refusal) };
      }
      await one.close();
      return { connected: true, text: '' };
    },

    async heartbeat() {
      const one = await client({ heartbeat: 200 });
      await one.subscribe(queue);
      await sleep(Number(process.env.INTEROP_IDLE) * 1000);
      await one.send(queue, 'still here');
      const [body] = await bodies(one, 1);
      await one.close();
      return { body };
    },

    // Programs of steps, each a verb, the connection's name and what the verb needs.
    async delivery() {
      const facts = {};
      for (const [name, steps] of Object.entries(JSON.parse(process.env.INTEROP_PROGRAMS))) {
        const clients = {};
        const seen = {};
        try {
          for (const [verb, name, ...rest] of steps) {
            if (verb === 'connect') {
              clients[name] = await client({ headers: rest[0] });
              seen[name] = [];
            } else if (verb === 'close') {
              await clients[name].close();
              delete clients[name];
            } else {
              await step(clients[name], seen[name], verb, ...rest);
            }
          }
          for (const each of Object.values(clients)) await each.close();
          facts[name] = Object.fromEntries(
            Object.entries(seen).map(([name, got]) => [name, got.map((m) => [m.body.toString(), m.headers])]),
          );
        } catch (error) {
          facts[name] = { error: String(error) };
        }
      }
      return facts;
    },

    async produce() {
      const one = await client();
      await one.send(queue, EVERY_OCTET, { 'x-from': 'node' }, 'stored');
      await one.close();
      return { headers: { 'x-from': 'node' }, body: EVERY_OCTET.toString('hex') };
    },

    async consume() {
      const one = await client();
      await one.subscribe(queue, 'client');
      const message = await one.receive();
      await one.ack(message);
      await one.close();
      return { headers: { 'x-from': message.headers['x-from'] }, body: message.body.toString('hex') };
    },
  };

  console.log(JSON.stringify(await scenarios[scenario]()));
}
