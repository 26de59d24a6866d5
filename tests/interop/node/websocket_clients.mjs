// STOMP clients over WebSocket, one shape for all: what they are called, and how each is used as its users use it.

import { Client } from '@stomp/stompjs';
import { RxStomp } from '@stomp/rx-stomp';
import webstomp from 'webstomp-client';

const VERSIONS = ['v10.stomp', 'v11.stomp', 'v12.stomp'];
const beat = 5000;

// A message: its text, its octets where the library has them, and ways to settle it.
const received = (message) => ({
  body: message.body,
  bytes: message.binaryBody,
  ack: (headers) => message.ack(headers),
  nack: (headers) => message.nack(headers),
});

export async function stompjs(url) {
  const seen = { beats: 0, connects: 0 };
  let first;
  const ready = new Promise((resolve, reject) => (first = { resolve, reject }));
  const again = [];
  const client = new Client({
    brokerURL: url,
    heartbeatIncoming: beat,
    heartbeatOutgoing: beat,
    reconnectDelay: 200,
    onConnect: () => {
      seen.connects += 1;
      first.resolve();
      again.forEach((subscribe) => subscribe());
    },
    onStompError: (frame) => first.reject(new Error(frame.body)),
    onHeartbeatReceived: () => (seen.beats += 1),
  });
  client.activate();
  await ready;
  return {
    seen,
    binary: true,
    reconnects: true,
    subscribe: (destination, ack, take) => {
      const subscribe = () => client.subscribe(destination, (message) => take(received(message)), { ack });
      again.push(subscribe);
      subscribe();
    },
    send: (destination, body, headers = {}) =>
      client.publish(
        typeof body === 'string' ? { destination, body, headers } : { destination, binaryBody: body, headers },
      ),
    begin: () => client.begin(),
    close: () => client.deactivate(),
  };
}

export async function rxStomp(url) {
  const seen = { beats: 0, connects: 0 };
  const client = new RxStomp();
  client.configure({
    brokerURL: url,
    heartbeatIncoming: beat,
    heartbeatOutgoing: beat,
    reconnectDelay: 200,
    // rx-stomp has no counter of its own; the library below tells of each in its debug output.
    debug: (text) => (seen.beats += text === '<<< PONG' ? 1 : 0),
  });
  client.connected$.subscribe(() => (seen.connects += 1));
  const ready = new Promise((resolve) => client.connected$.subscribe(() => resolve()));
  client.activate();
  await ready;
  return {
    seen,
    binary: true,
    reconnects: true,
    subscribe: (destination, ack, take) =>
      client
        .watch({ destination, subHeaders: { ack } })
        .subscribe((message) => take(received(message))),
    send: (destination, body, headers = {}) =>
      client.publish(
        typeof body === 'string' ? { destination, body, headers } : { destination, binaryBody: body, headers },
      ),
    begin: () => client.stompClient.begin(),
    close: () => client.deactivate(),
  };
}

// webstomp-client and stompjs 2.3.3, of which it is made.
async function over(client, seen) {
  client.heartbeat.incoming = beat;
  client.heartbeat.outgoing = beat;
  client.debug = (...words) => (seen.beats += words.join(' ') === '<<< PONG' ? 1 : 0);
  await new Promise((resolve, reject) => client.connect({}, resolve, reject));
  seen.connects += 1;
  return {
    seen,
    binary: false,
    reconnects: false,
    subscribe: (destination, ack, take) =>
      client.subscribe(destination, (message) => take(received(message)), { ack }),
    begin: () => client.begin(),
    close: () => new Promise((resolve) => client.disconnect(resolve)),
  };
}

export async function webstompClient(url) {
  const client = webstomp.client(url, { debug: true, protocols: VERSIONS });
  const one = await over(client, { beats: 0, connects: 0 });
  return { ...one, send: (destination, body, headers = {}) => client.send(destination, body, headers) };
}

export async function stompjs2(url, Stomp) {
  const client = Stomp.over(new WebSocket(url, VERSIONS));
  const one = await over(client, { beats: 0, connects: 0 });
  return { ...one, send: (destination, body, headers = {}) => client.send(destination, headers, body) };
}
