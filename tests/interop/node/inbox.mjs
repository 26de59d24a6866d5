// What a library calls back with, to be taken in order by who awaits it.

const SECONDS = 10;

export class Inbox {
  constructor(what) {
    this.what = what;
    this.waiting = [];
    this.arrived = [];
  }

  put(value) {
    const taker = this.waiting.shift();
    if (taker) taker(value);
    else this.arrived.push(value);
  }

  get empty() {
    return this.arrived.length === 0;
  }

  take() {
    if (!this.empty) return Promise.resolve(this.arrived.shift());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${this.what} for ${SECONDS} s`)), SECONDS * 1000);
      this.waiting.push((value) => {
        clearTimeout(timer);
        resolve(value);
      });
    });
  }
}
