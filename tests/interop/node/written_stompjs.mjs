// @stomp/stompjs, as its users call it, carries out a job of ../record.py.

import { createRequire } from 'node:module';
import { Client } from '@stomp/stompjs';
import { Inbox } from './inbox.mjs';
import { TcpSocket } from './tcp_socket.mjs';

const [host, port] = process.argv.slice(2);
const job = JSON.parse(process.env.INTEROP_JOB);
const connected = new Inbox('answer to CONNECT');
const client = new Client({
  webSocketFactory: () => new TcpSocket(host, Number(port)),
  connectHeaders: { login: 'guest', passcode: 'guest' },
  reconnectDelay: 0,
  onConnect: (frame) => connected.put(frame),
});
client.activate();
await connected.take();
for (const { body, headers } of job.sends ?? []) {
  client.publish({ destination: job.queue, body, headers, skipContentLengthHeader: job.no_length });
}
if (job.ack) {
  const inbox = new Inbox('message');
  client.subscribe(job.queue, (message) => inbox.put(message), { ack: job.ack });
  const messages = [];
  while (messages.length < job.take) messages.push(await inbox.take());
  for (const number of job.settle) messages[number].ack();
}
await client.deactivate();
const packages = createRequire(import.meta.url).resolve.paths('@stomp/stompjs')[0];
console.log(JSON.stringify(createRequire(import.meta.url)(`${packages}/@stomp/stompjs/package.json`).version));
