/**
 * Which nodes check a server: those with the highest scores, where each pair of a server and a node has a score that
 * depends on their names alone (rendezvous hashing). So all nodes come to the same answer without asking one another,
 * and a node that leaves moves only its own work.
 *
 * @param nodes names of the nodes that are alive, in any order
 * @param count how many are wanted
 * @returns names, the highest score first. The server's own node is among them only when there is no other.
 */
export function vantagesOf(server: string, nodes: readonly string[], count: number): string[] {
  const seed = hashText(server, 0);
  return candidatesFor(server, nodes)
    .map((node) => ({ node, score: hashText(node, seed) }))
    .sort((a, b) => (isBefore(a, b) ? -1 : 1))
    .slice(0, count)
    .map(({ node }) => node);
}

/** Whether `node` is among {@link vantagesOf}, without sorting: each node asks this for every server. */
export function isVantage(node: string, server: string, nodes: readonly string[], count: number): boolean {
  if (node === server && nodes.some((other) => other !== server)) return false;
  const seed = hashText(server, 0);
  const own = { node, score: hashText(node, seed) };
  let isThere = false;
  let before = 0;
  for (const other of nodes) {
    if (other === node) isThere = true;
    else if (other !== server && isBefore({ node: other, score: hashText(other, seed) }, own)) {
      before++;
      if (before === count) return false;
    }
  }
  return isThere;
}

function candidatesFor(server: string, nodes: readonly string[]): readonly string[] {
  const others = nodes.filter((node) => node !== server);
  return others.length === 0 ? nodes : others;
}

interface Scored {
  readonly node: string;
  readonly score: number;
}

function isBefore(a: Scored, b: Scored): boolean {
  return a.score > b.score || (a.score === b.score && a.node < b.node);
}

/** FNV-1a, with the finalizer of MurmurHash3, without which names that differ in their last letter score alike. */
export function hashText(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
