// A net.Socket in the shape of the WebSocket that @stomp/stompjs asks for.

import net from 'node:net';

export class TcpSocket {
  constructor(host, port) {
    this.url = `tcp://${host}:${port}`;
    this.readyState = 0;
    this.binaryType = 'arraybuffer';
    this.socket = net.connect(port, host, () => {
      this.readyState = 1;
      this.onopen?.({});
    });
    this.socket.on('data', (chunk) => this.onmessage?.({ data: new Uint8Array(chunk).buffer }));
    this.socket.on('error', (error) => this.onerror?.(error));
    this.socket.on('close', () => {
      this.readyState = 3;
      this.onclose?.({ code: 1000, reason: '', wasClean: true });
    });
  }

  send(data) {
    this.socket.write(typeof data === 'string' ? data : Buffer.from(data));
  }

  close() {
    this.readyState = 2;
    this.socket.end();
  }

  terminate() {
    this.socket.destroy();
  }
}
