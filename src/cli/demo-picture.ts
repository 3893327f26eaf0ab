import { bar } from '../chart/terminal.js';
import type { Picture, PicturedServer } from '../testbed/control/picture.js';
import { percent } from '../testbed/words.js';

/** What is shown below the spinner of `twohop demo` while a conductor works: servers, load, shares, last changes. */

const LOAD_COLUMNS = 24;
/** The share of twice what each would have is a full bar. */
const SHARE_COLUMNS = 16;

/** @param columns of the terminal: longer lines are cut, so that the picture can be drawn over */
export function pictureLines(picture: Picture, columns: number): string[] {
  const { servers, version, leader, storeIsThere, wideProblem, moves } = picture;
  return [
    `  ${'server'.padEnd(7)}${'load'.padEnd(LOAD_COLUMNS + 8)}${'share of new connections'.padEnd(SHARE_COLUMNS + 11)}`,
    ...servers.map((server) => serverLine(server, servers.length)),
    `  table ${version === null ? 'not made yet' : `version ${version}`}, conductor ${leader ?? 'none'}` +
      (storeIsThere ? '' : ', the store is away') +
      (wideProblem === null ? '' : `, held back: ${wideProblem}`),
    ...moves.map((move) => `  ${move}`),
  ].map((line) => line.slice(0, Math.max(20, columns - 1)));
}

function serverLine({ name, standing, load, share }: PicturedServer, servers: number): string {
  const loadText = load === null ? '-' : percent(load);
  return [
    `  ${name.padEnd(7)}`,
    bar(load ?? 0, LOAD_COLUMNS).padEnd(LOAD_COLUMNS),
    ` ${loadText.padStart(5)}  `,
    bar((share * servers) / 2, SHARE_COLUMNS).padEnd(SHARE_COLUMNS),
    ` ${percent(share).padStart(6)}  `,
    standing === 'in' ? '' : standing,
  ].join('');
}
