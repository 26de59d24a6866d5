// The same clients in a browser, and react-stomp-hooks, which only is something there. Bundled by esbuild.

import { createElement, useEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { StompSessionProvider, useStompClient, useSubscription } from 'react-stomp-hooks';
import Stomp from 'stompjs/lib/stomp.js';
import { rxStomp, stompjs, stompjs2, webstompClient } from './websocket_clients.mjs';
import { play } from './websocket_scenario.mjs';

// A program of React: what it renders subscribes, and hands out its client when that is connected.
function reactStompHooks(url, queue) {
  const seen = { beats: 0, connects: 0 };
  let take = () => {};
  let client;
  return new Promise((resolve) => {
    function Listener() {
      client = useStompClient();
      useSubscription(
        queue,
        (message) =>
          take({
            body: message.body,
            bytes: message.binaryBody,
            ack: () => message.ack(),
            nack: () => message.nack(),
          }),
        { ack: 'client-individual' },
      );
      useEffect(() => {
        if (!client) return;
        seen.connects += 1;
        resolve({
          seen,
          binary: true,
          reconnects: true,
          subscribe: (_destination, _ack, taker) => (take = taker),
          send: (destination, body, headers = {}) =>
            client.publish(
              typeof body === 'string' ? { destination, body, headers } : { destination, binaryBody: body, headers },
            ),
          begin: () => client.begin(),
          close: async () => root.unmount(),
        });
      }, [client]);
      return null;
    }
    const root = createRoot(document.body.appendChild(document.createElement('div')));
    root.render(
      createElement(
        StompSessionProvider,
        {
          url,
          reconnectDelay: 200,
          heartbeatIncoming: 5000,
          heartbeatOutgoing: 5000,
          onHeartbeatReceived: () => (seen.beats += 1),
          debug: (text) => (seen.beats += text === '<<< PONG' ? 1 : 0),
        },
        createElement(Listener),
      ),
    );
  });
}

window.playStomp = (name, url, queue, options) => {
  const old = Stomp.Stomp ?? window.Stomp;
  const connect = {
    '@stomp/stompjs': () => stompjs(url),
    'rx-stomp': () => rxStomp(url),
    'webstomp-client': () => webstompClient(url),
    stompjs: () => stompjs2(url, old),
    'react-stomp-hooks': () => reactStompHooks(url, queue),
  }[name];
  return play(connect, queue, options);
};
