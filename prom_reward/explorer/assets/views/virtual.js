// A list that draws only the rows in view. Rows have one height, so no library is needed for 100,000 of them.

const SPARE = 6; // rows drawn above and below

export class VirtualList {
  // `scroller` scrolls; `body` lies in it and holds the rows that `draw(index)` makes, `height` pixels each.
  constructor({ scroller, body, height, draw }) {
    Object.assign(this, { scroller, body, height, draw, count: 0, from: -1, to: -1 });
    body.style.position = "relative";
    scroller.addEventListener("scroll", () => this.paint(), { passive: true });
    new ResizeObserver(() => this.paint()).observe(scroller);
  }

  show(count) {
    this.count = count;
    this.body.style.height = `${count * this.height}px`;
    this.from = -1;
    this.paint();
  }

  paint() {
    const top = Math.max(0, this.scroller.scrollTop - this.body.offsetTop);
    const from = Math.max(0, Math.floor(top / this.height) - SPARE);
    const to = Math.min(this.count, Math.ceil((top + this.scroller.clientHeight) / this.height) + SPARE);
    if (from === this.from && to === this.to) return;
    this.from = from;
    this.to = to;
    const rows = [];
    for (let index = from; index < to; index += 1) {
      const row = this.draw(index);
      row.style.transform = `translateY(${index * this.height}px)`;
      rows.push(row);
    }
    this.body.replaceChildren(...rows);
  }

  refresh() {
    this.from = -1;
    this.paint();
  }

  reveal(index) {
    const top = this.body.offsetTop + index * this.height, { scrollTop, clientHeight } = this.scroller;
    const head = this.body.offsetTop;
    if (top - head < scrollTop) this.scroller.scrollTop = top - head;
    else if (top + this.height > scrollTop + clientHeight) this.scroller.scrollTop = top + this.height - clientHeight;
    this.paint();
  }
}
