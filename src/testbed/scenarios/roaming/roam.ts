import { tunnelsOf } from '../../wireguard/tunnels.js';
import { sampleOf } from '../connections.js';
import { Judgement, type Scenario } from '../scenario.js';
import { brokenEver, journey } from './journey.js';
import { freshSessions, PATIENCE_S, ROAMERS } from './sessions.js';

const STALL_MS = 20_000;

/** Whatever clients do to their addresses, their sessions stay where they are. */
export const roam: Scenario = {
  name: 'roam',
  title: `Roam: ${ROAMERS.length} clients at once, each with a download in progress`,
  async run(dataCenter) {
    const tunnels = tunnelsOf(dataCenter);
    await freshSessions(dataCenter, tunnels, ROAMERS);
    const seen = await journey(dataCenter, tunnels, { probeS: PATIENCE_S, stallMs: STALL_MS });

    const { steps, inProgress, downloadFailures, packets } = seen;
    const broken = brokenEver(seen);
    const judgement = new Judgement();
    for (const step of steps) {
      const reasons = [...step.broken.values()].map((reason) => ({ broken: reason }));
      judgement.expect(
        reasons.length === 0,
        `after "${step.title}" ${reasons.length} sessions were broken: ${sampleOf(reasons)}`,
      );
      judgement.expect(
        step.moved === ROAMERS.length,
        `after "${step.title}" servers saw only ${step.moved} clients elsewhere than before`,
      );
    }
    judgement.expect(
      inProgress === ROAMERS.length,
      `only ${inProgress} downloads were in progress until the last step`,
    );
    judgement.expect(
      downloadFailures.length === 0,
      `${downloadFailures.length} downloads broke: ${downloadFailures[0]}`,
    );
    judgement.expect(packets.forwarded > 0, 'no packet entered at a server that did not own it');
    judgement.expect(packets.atHolder > 0, 'no packet was taken in for a session');
    judgement.expect(
      packets.astray === 0,
      `${packets.astray} packets reached a server that does not hold their session`,
    );
    return judgement.finding(
      [
        ...steps.map(
          ({ title, broken, moved }) =>
            `${title}: ${moved} of ${ROAMERS.length} seen elsewhere, ${ROAMERS.length - broken.size} stay on their server`,
        ),
        `${ROAMERS.length - downloadFailures.length} of ${ROAMERS.length} downloads completed`,
        `${packets.astray} of ${packets.atHolder + packets.astray} packets reached a server that does not hold their session`,
        `${packets.forwarded} packets entered elsewhere and were forwarded`,
      ],
      {
        tunnels: ROAMERS.length,
        steps: steps.map(({ title }) => title),
        broken,
        downloadsBroken: downloadFailures.length,
        packets: packets.atHolder + packets.astray,
        astray: packets.astray,
        forwarded: packets.forwarded,
      },
    );
  },
};
