import { QuicLbDecoder, quicLbConfigId } from '../../../flow/quic-lb.js';
import { CONFIGURATION_NAMES, CONFIGURATIONS, serverIdOf } from '../../quic/configurations.js';
import { UPLOAD_LENGTH, type Way } from '../../quic/plan.js';
import { sampleOf } from '../connections.js';
import type { Judgement } from '../scenario.js';
import type { Fate, ServedExchange } from './exchanges.js';

/** What scenarios count in the fates of uploads, and what they say of it. */

export const byWay = <T extends ServedExchange>(transfers: readonly T[], way: Way): T[] =>
  transfers.filter((transfer) => transfer.way === way);

export const brokenOf = (fates: readonly Fate[]): Fate[] => fates.filter(({ broken }) => broken !== null);

/** `0 of 24 broken`, with the words of the first few. */
export function lossOf(fates: readonly Fate[]): string {
  const broken = brokenOf(fates);
  const words = broken.length === 0 ? '' : ` (${sampleOf(broken)})`;
  return `${broken.length} of ${fates.length} broken${words}`;
}

/** How many connections used IDs of each configuration: `{ 'four passes': 8, ... }`. */
export function configurationsUsed(transfers: readonly ServedExchange[]): Record<string, number> {
  const counts: Record<string, number> = Object.fromEntries(CONFIGURATION_NAMES.map((name) => [name, 0]));
  for (const { connection } of transfers) {
    const used = new Set((connection?.used ?? []).map((id) => CONFIGURATION_NAMES[configurationOf(id)]));
    for (const name of used) counts[name]++;
  }
  return counts;
}

/** @param id of a server, in hexadecimal */
export function configurationOf(id: string): number {
  return quicLbConfigId(Number.parseInt(id.slice(0, 2), 16));
}

const decoder = new QuicLbDecoder(CONFIGURATIONS);

/** Does every ID that the server issued name it? @param server its name */
export function namesItsServer({ connection, server }: ServedExchange): boolean {
  if (connection === null || server === null) return false;
  const expected = serverIdOf(Number(server.slice(1)));
  return connection.issued.every((id) => {
    const bytes = Buffer.from(id, 'hex');
    const into = new Uint8Array(expected.length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return decoder.decode(view, 0, bytes.length, into) === expected.length && expected.equals(into);
  });
}

/** What must be true wherever connections by ID are shown beside connections by 4-tuple. */
export function judgeBoth(judgement: Judgement, byId: readonly Fate[], byTuple: readonly Fate[]): void {
  const broken = brokenOf(byId);
  judgement.expect(broken.length === 0, `${broken.length} broke: ${sampleOf(broken)}`);
  judgement.expect(
    brokenOf(byTuple).length > 0,
    'nothing broke with the 4-tuple alone: this comparison shows nothing',
  );
  judgement.expect(byId.every(namesItsServer), 'a server issued a connection ID that does not name it');
}

/** Were all its moves made before the upload was complete? At least one is asked for. */
export function movedInProgress({ connection }: ServedExchange): boolean {
  const moves = connection?.peers.slice(1) ?? [];
  return moves.length > 0 && moves.every(({ received }) => received < UPLOAD_LENGTH);
}
