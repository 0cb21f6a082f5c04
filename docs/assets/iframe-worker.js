// Browsers start no worker from a file:// address. There the search runs in a hidden frame instead.
if (location.protocol === 'file:') {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement('iframe');
      frame.hidden = true;
      frame.onload = () => {
        const inner = frame.contentWindow;
        inner.postMessage = data => this.dispatchEvent(new MessageEvent('message', {data}));
        const script = inner.document.createElement('script');
        script.src = new URL(url, location.href).href;
        script.onload = () => {
          this.inner = inner;
          this.waiting.forEach(data => this.postMessage(data));
        };
        inner.document.body.append(script);
      };
      document.body.append(frame);
    }

    postMessage(data) {
      if (this.inner) this.inner.dispatchEvent(new this.inner.MessageEvent('message', {data}));
      else this.waiting.push(data);
    }
  };
}
