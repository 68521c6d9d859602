/** The newest so many of anything: adding to a full one drops the oldest. */
export class Ring<T> {
  private items: T[] = [];
  private begin = 0;

  constructor(readonly capacity: number) {}

  get length(): number {
    return this.items.length;
  }

  push(item: T): void {
    if (this.items.length < this.capacity) {
      this.items.push(item);
      return;
    }
    this.items[this.begin] = item;
    this.begin = (this.begin + 1) % this.capacity;
  }

  /** Oldest first. */
  toArray(): T[] {
    return [...this.items.slice(this.begin), ...this.items.slice(0, this.begin)];
  }

  clear(): void {
    this.items = [];
    this.begin = 0;
  }
}
