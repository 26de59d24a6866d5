// What each client does over WebSocket; the same in Node and in a browser. Answers with what it saw.

function inbox() {
  const waiting = [];
  const there = [];
  return {
    put: (each) => (waiting.length ? waiting.shift()(each) : there.push(each)),
    take: () =>
      there.length
        ? Promise.resolve(there.shift())
        : new Promise((resolve, reject) => {
            const timer = setTimeout(() => reject(new Error('nothing came')), 20000);
            waiting.push((each) => {
              clearTimeout(timer);
              resolve(each);
            });
          }),
    left: () => there.length,
  };
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// quiet: milliseconds in which nothing is said but heart-beats. restart: called to have the server started anew.
export async function play(connect, queue, { quiet = 0, restart = null } = {}) {
  const facts = {};
  const one = await connect();
  const messages = inbox();
  one.subscribe(queue, 'client-individual', messages.put);

  one.send(queue, 'grüße 😀');
  const first = await messages.take();
  facts.text = first.body;
  first.nack();
  const again = await messages.take();
  facts.again = again.body;
  again.ack();

  const aborted = one.begin();
  one.send(queue, 'aborted', { transaction: aborted.id });
  aborted.abort();
  const committed = one.begin();
  one.send(queue, 'committed', { transaction: committed.id });
  committed.commit();
  const one_of_them = await messages.take();
  facts.transaction = one_of_them.body;
  one_of_them.ack();

  if (one.binary) {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    one.send(queue, bytes);
    const message = await messages.take();
    facts.binary = Array.from(message.bytes).join() === Array.from(bytes).join();
    message.ack();
  }

  const large = 'xäy'.repeat(349526);
  one.send(queue, large);
  const message = await messages.take();
  facts.large = message.body === large ? new TextEncoder().encode(large).length : -1;
  message.ack();

  if (quiet) {
    one.seen.beats = 0;
    await pause(quiet);
    facts.beats = one.seen.beats;
    one.send(queue, 'still here');
    const late = await messages.take();
    facts.quiet = late.body;
    late.ack();
  }
  if (restart && one.reconnects) {
    const before = one.seen.connects;
    await restart();
    while (one.seen.connects === before) await pause(50);
    one.send(queue, 'after the restart');
    const late = await messages.take();
    facts.restart = late.body;
    late.ack();
  }
  facts.left = messages.left();
  await one.close();
  return facts;
}
