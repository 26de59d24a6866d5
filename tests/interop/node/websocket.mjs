// `node websocket.mjs URL CLIENT QUEUE`: prints what the client saw as JSON.

import { createRequire } from 'node:module';
import { WebSocket } from 'ws';
import { rxStomp, stompjs, stompjs2, webstompClient } from './websocket_clients.mjs';
import { play } from './websocket_scenario.mjs';

globalThis.WebSocket = WebSocket;
const [url, name, queue] = process.argv.slice(2);
const Stomp = () => createRequire(import.meta.url)('stompjs');
const connect = {
  '@stomp/stompjs': () => stompjs(url),
  'rx-stomp': () => rxStomp(url),
  'webstomp-client': () => webstompClient(url),
  stompjs: () => stompjs2(url, Stomp()),
}[name];
console.log(JSON.stringify(await play(connect, queue)));
process.exit(0);
