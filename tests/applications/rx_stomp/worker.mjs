// A worker and a service on rx-stomp over plain TCP: results for what comes to /queue/work, answers to /queue/ask.

import readline from 'node:readline';
import { RxStomp } from '@stomp/rx-stomp';
import { TCPWrapper } from '@stomp/tcp-wrapper';

const port = Number(process.argv[2]);
const client = new RxStomp();
client.configure({
  webSocketFactory: () => new TCPWrapper('127.0.0.1', port),
  reconnectDelay: 200,
});
client.stompErrors$.subscribe((frame) => console.log(`error ${frame.headers.message}`));
client.connected$.subscribe(() => console.log('connected'));

const workedOn = new Set();
let goOn = () => {};
const word = new Promise((resolve) => { goOn = resolve; });
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', goOn);
lines.on('close', async () => {
  await client.deactivate();
  process.exit(0);
});

client
  .watch({ destination: '/queue/work', subHeaders: { ack: 'client-individual', 'prefetch-count': '1' } })
  .subscribe(async (message) => {
    console.log(`got ${message.body}`);
    if (message.body === 'long' && !workedOn.has('long')) {
      workedOn.add('long');
      console.log('working');
      await word;
    }
    client.publish({ destination: '/queue/results', body: message.body });
    message.ack();
    console.log(`done ${message.body}`);
  });
client.watch({ destination: '/queue/ask' }).subscribe((message) => {
  client.publish({
    destination: message.headers['reply-to'],
    body: `answer to ${message.body}`,
    headers: { 'correlation-id': message.headers['correlation-id'] },
  });
});
client.activate();
