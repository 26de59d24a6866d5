// stompit, whose messages are streams.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import stompit from 'stompit';
import { Inbox } from './inbox.mjs';
import { run } from './scenarios.mjs';

function readAll(stream) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => resolve(Buffer.concat(chunks)));
    stream.on('error', reject);
  });
}

function tls() {
  const { INTEROP_CA: ca, INTEROP_CERT: own } = process.env;
  if (!ca) return {};
  return { ssl: true, ca: readFileSync(ca), cert: readFileSync(own), key: readFileSync(own) };
}

class Stompit {
  static connect({ host, port, version, login, passcode, heartbeat = 0, headers = {} }) {
    const connectHeaders = {
      'accept-version': version,
      ...headers,
      'heart-beat': `${heartbeat},${heartbeat}`,
      ...(login === undefined ? {} : { login, passcode }),
    };
    return new Promise((resolve, reject) => {
      stompit.connect({ host, port, connectHeaders, ...tls() }, (error, client) => {
        if (error) reject(error);
        else resolve(new Stompit(client));
      });
    });
  }

  constructor(client) {
    this.client = client;
    this.negotiated = client.headers.version ?? '1.0';
    this.messages = new Inbox('message');
    this.errors = new Inbox('error');
    this.receipts = [];
    this.subscriptions = {};
    client.on('error', (error) => this.errors.put(error));
  }

  // The library numbers the receipts itself, so they are told by what was asked for.
  receipt(name, act) {
    const seen = new Inbox(`receipt of ${name}`);
    act({ onReceipt: () => seen.put(name) });
    return seen.take().then(() => this.receipts.push(name));
  }

  async subscribe(destination, ack = 'auto', id = undefined, more = {}) {
    this.subscriptions[id] = this.client.subscribe({ ...more, destination, ack, id }, (error, message) => {
      if (error) return;
      readAll(message).then((body) => this.messages.put({ headers: message.headers, body, settle: message }));
    });
    // subscribe() knows no receipt: one for a BEGIN behind it tells that the server has read both.
    await this.receipt('subscribed', (options) => {
      this.client.sendFrame('BEGIN', { transaction: 'probe' }, options).end();
    });
    this.client.sendFrame('ABORT', { transaction: 'probe' }).end();
  }

  async unsubscribe(id = undefined, headers = {}) {
    const subscription = this.subscriptions[id];
    subscription.unsubscribe(headers); // asks for a receipt and forgets the subscription when it is there
    while (this.client.getSubscription(subscription.getId())) await sleep(1);
    this.receipts.push('unsubscribed');
  }

  async send(destination, body, headers = {}, receipt = undefined) {
    const octets = Buffer.from(body);
    const all = { destination, 'content-length': octets.length, ...headers };
    const write = (options) => this.client.send(all, options).end(octets);
    if (receipt === undefined) return write();
    return this.receipt(receipt, write);
  }

  receive() {
    return this.messages.take();
  }

  async ack(message, headers = {}) {
    await this.receipt('acked', (options) => this.client.ack(message.settle, headers, options));
  }

  async nack(message, headers = {}) {
    await this.receipt('nacked', (options) => this.client.nack(message.settle, headers, options));
  }

  async begin(transaction) {
    this.transactions = { ...this.transactions, [transaction]: this.client.begin({ transaction }) };
  }

  async commit(id) {
    this.transactions[id].commit();
  }

  async abort(id) {
    this.transactions[id].abort();
  }

  async provoke(transaction) {
    this.client.sendFrame('COMMIT', { transaction, receipt: 'the commit' }).end();
    const error = await this.errors.take(); // the library itself destroys the socket then
    return { message: error.message, 'receipt-id': null, body: error.longMessage ?? null, closed: null };
  }

  close() {
    return new Promise((resolve, reject) => {
      this.client.disconnect((error) => {
        this.receipts.push('bye');
        if (error) reject(error);
        else resolve();
      });
    });
  }
}

await run(Stompit.connect);
