// @stomp/stompjs over plain TCP.

import { Client } from '@stomp/stompjs';
import { Inbox } from './inbox.mjs';
import { run } from './scenarios.mjs';
import { TcpSocket } from './tcp_socket.mjs';

class Stompjs {
  static async connect({ host, port, version, login, passcode, heartbeat = 0, headers = {} }) {
    const one = new Stompjs();
    one.messages = new Inbox('message');
    one.ends = new Inbox('end of the connection');
    one.receipts = [];
    one.subscriptions = {};
    one.beats = 0;
    const opened = new Inbox('answer to CONNECT');
    one.client = new Client({
      webSocketFactory: () => new TcpSocket(host, port),
      stompVersions: { supportedVersions: () => version, protocolVersions: () => [] },
      connectHeaders: { host, ...headers, ...(login === undefined ? {} : { login, passcode }) },
      heartbeatIncoming: heartbeat,
      heartbeatOutgoing: heartbeat,
      reconnectDelay: 0,
      onConnect: (frame) => opened.put(frame),
      onStompError: (frame) => {
        one.error = frame;
        opened.put(frame);
      },
      onWebSocketClose: (event) => one.ends.put(event),
      onHeartbeatReceived: () => (one.beats += 1),
    });
    one.client.activate();
    const answer = await opened.take();
    if (answer.command === 'ERROR') {
      throw new Error(`${answer.headers.message} ${answer.body}`);
    }
    one.negotiated = one.client.connectedVersion ?? '1.0';
    one.heartbeat = heartbeat;
    return one;
  }

  receipt(id, act) {
    const seen = new Inbox(`receipt ${id}`);
    this.client.watchForReceipt(id, (frame) => seen.put(frame));
    act();
    return seen.take().then(() => this.receipts.push(id));
  }

  async subscribe(destination, ack = 'auto', id = 'one', more = {}) {
    await this.receipt('subscribed', () => {
      const headers = { ...more, id, ack, receipt: 'subscribed' };
      this.subscriptions[id] = this.client.subscribe(destination, (message) => {
        message.bytes = Buffer.from(message.binaryBody);
        this.messages.put(message);
      }, headers);
    });
  }

  async unsubscribe(id = 'one', headers = {}) {
    const more = { ...headers, receipt: 'unsubscribed' };
    await this.receipt('unsubscribed', () => this.subscriptions[id].unsubscribe(more));
  }

  async send(destination, body, headers = {}, receipt = undefined) {
    const parameters = { destination, binaryBody: new Uint8Array(Buffer.from(body)), headers };
    if (receipt === undefined) return this.client.publish(parameters);
    headers.receipt = receipt;
    return this.receipt(receipt, () => this.client.publish(parameters));
  }

  async receive() {
    if (this.heartbeat && this.beats < 2) throw new Error(`only ${this.beats} beats of the server`);
    const message = await this.messages.take();
    return { headers: message.headers, body: message.bytes, settle: message };
  }

  async ack(message, headers = {}) {
    message.settle.ack(headers);
  }

  async nack(message, headers = {}) {
    message.settle.nack(headers);
  }

  async begin(id) {
    this.transactions = { ...this.transactions, [id]: this.client.begin(id) };
  }

  async commit(id) {
    this.transactions[id].commit();
  }

  async abort(id) {
    this.transactions[id].abort();
  }

  async provoke(transaction) {
    this.client.commit(transaction);
    await this.ends.take();
    const { headers, body } = this.error;
    return { message: headers.message, 'receipt-id': null, body, closed: true };
  }

  async close() {
    this.client.onDisconnect = () => this.receipts.push('bye');
    await this.client.deactivate();
  }
}

await run(Stompjs.connect);
