/**
 * With which table a new leader begins. Three know something of a trafficset: the store, this conductor (from following
 * the store before, or from its copy of the state), and the nodes, each of which says the version it holds and refuses
 * to go back. The store may have lost everything, or been put back to an earlier day.
 */

export interface Knowledge {
  readonly trafficset: string;
  /** Version of the table in the store; null when there is none. */
  readonly stored: number | null | 'damaged';
  /** Version of the table that this conductor remembers. */
  readonly remembered: number | null;
  /** Highest version that a node holds; -1 when none holds any. */
  readonly held: number;
}

export type Beginning =
  /** The store's table, as it is. */
  | { readonly what: 'stored' }
  /** The store's rows, with this version, as nodes hold a higher one that nobody knows. */
  | { readonly what: 'raise'; readonly version: number; readonly why: string }
  /** What this conductor remembers, with this version: the store has lost it. */
  | { readonly what: 'give-back'; readonly version: number; readonly why: string }
  /** The very first. */
  | { readonly what: 'make' }
  /** Nothing is published; what a person has to do. */
  | { readonly what: 'refuse'; readonly why: string };

/**
 * @param copyFile where a table could be put for this conductor to remember it; null when it keeps no copy of the state
 */
export function beginningOf(
  { trafficset, stored, remembered, held }: Knowledge,
  copyFile: string | null,
): Beginning {
  if (stored === 'damaged') {
    return {
      what: 'refuse',
      why:
        `the table of ${trafficset} in the store is damaged: nothing is published, and nodes keep what they have. ` +
        `Delete tables/${trafficset}/ in the store, and ` +
        (remembered === null
          ? howToHelp(trafficset, copyFile)
          : `version ${remembered}, which is remembered here, is given back`),
    };
  }
  if (stored !== null) {
    if (remembered !== null && remembered > stored) {
      return {
        what: 'give-back',
        version: Math.max(remembered, held) + 1,
        why: `the store went back to version ${stored} of ${trafficset}, and version ${remembered} is remembered here`,
      };
    }
    if (held > stored) {
      return {
        what: 'raise',
        version: held + 1,
        why:
          `a node holds version ${held} of ${trafficset}, and the store version ${stored}: it was put back to an ` +
          'earlier state; its rows are published anew, connections that came since may break',
      };
    }
    return { what: 'stored' };
  }
  if (remembered !== null) {
    return {
      what: 'give-back',
      version: Math.max(remembered, held) + 1,
      why: `the store has lost the table of ${trafficset}, and version ${remembered} is remembered here`,
    };
  }
  if (held >= 0) {
    return {
      what: 'refuse',
      why:
        `nodes hold version ${held} of ${trafficset}, and neither the store nor this conductor knows that table: ` +
        `the store has lost its data. Nothing is published, and nodes keep what they have. ` +
        `Put the store's data back, or ${howToHelp(trafficset, copyFile)}`,
    };
  }
  return { what: 'make' };
}

function howToHelp(trafficset: string, copyFile: string | null): string {
  const forget = `start it with --new-table ${trafficset} to make a new one, which breaks connections`;
  const remember = 'start a conductor that has a copy of the state (conductor.state)';
  if (copyFile === null) return `${remember}, or ${forget}`;
  return (
    `stop the conductor, copy a node's table file (table in cluster.yaml, default ` +
    `/var/lib/twohop/SERVER/${trafficset}.table) to ${copyFile} and start it again, or ${forget}`
  );
}
