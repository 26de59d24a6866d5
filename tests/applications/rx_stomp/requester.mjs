// For each line of stdin: `ask X` is a request by rx-stomp's RPC, `send X` a message with a receipt.

import readline from 'node:readline';
import { RxStomp, RxStompRPC } from '@stomp/rx-stomp';
import { TCPWrapper } from '@stomp/tcp-wrapper';
import { firstValueFrom } from 'rxjs';

const port = Number(process.argv[2]);
const client = new RxStomp();
client.configure({
  webSocketFactory: () => new TCPWrapper('127.0.0.1', port),
  reconnectDelay: 200,
});
client.stompErrors$.subscribe((frame) => console.log(`error ${frame.headers.message}`));
client.connected$.subscribe(() => console.log('connected'));
client.activate();
const rpc = new RxStompRPC(client);

let numbers = 0;
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [verb, body] = line.split(' ');
  if (verb === 'ask') {
    const answer = await firstValueFrom(rpc.rpc({ destination: '/queue/ask', body }));
    console.log(answer.body);
  } else {
    numbers += 1;
    const receipt = `receipt-${numbers}`;
    const confirmed = new Promise((resolve) => { client.watchForReceipt(receipt, resolve); });
    client.publish({ destination: '/queue/work', body, headers: { receipt } });
    await confirmed;
    console.log(`sent ${body}`);
  }
}
await client.deactivate();
process.exit(0);
