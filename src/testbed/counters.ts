/** Numbers that only grow, by name; there may be groups of them. */
export type Counters<T> = { readonly [Name in keyof T]: T[Name] extends number ? number : Counters<T[Name]> };

/** How much each has grown; what was not counted before has grown from zero. */
export function since<T extends Counters<T>>(before: T, now: T): T {
  return growth(before as Tree, now as Tree) as T;
}

interface Tree {
  readonly [name: string]: number | Tree;
}

function growth(before: Tree, now: Tree): Tree {
  return Object.fromEntries(
    Object.entries(now).map(([name, value]) => {
      const old = before[name];
      if (typeof value === 'number') return [name, value - (typeof old === 'number' ? old : 0)];
      return [name, growth(typeof old === 'object' ? old : {}, value)];
    }),
  );
}
