// stompit, as its users call it, carries out a job of ../record.py.

import { createRequire } from 'node:module';
import stompit from 'stompit';
import { Inbox } from './inbox.mjs';

const [host, port] = process.argv.slice(2);
const job = JSON.parse(process.env.INTEROP_JOB);
const connectHeaders = { host: '/', login: 'guest', passcode: 'guest', 'heart-beat': '0,0' };
const client = await new Promise((resolve, reject) => {
  stompit.connect({ host, port: Number(port), connectHeaders }, (error, one) => (error ? reject(error) : resolve(one)));
});
for (const { body, headers } of job.sends ?? []) {
  const frame = client.send({ destination: job.queue, ...headers });
  frame.write(body);
  frame.end();
}
if (job.ack) {
  const inbox = new Inbox('message');
  client.subscribe({ destination: job.queue, ack: job.ack }, (error, message) => {
    if (!error) message.readString('utf-8', () => inbox.put(message));
  });
  const messages = [];
  while (messages.length < job.take) messages.push(await inbox.take());
  for (const number of job.settle) client.ack(messages[number]);
}
await new Promise((resolve) => client.disconnect(resolve));
console.log(JSON.stringify(createRequire(import.meta.url)('stompit/package.json').version));
