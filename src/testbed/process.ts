import { messageOf } from './errors.js';

/**
 * Entry of the processes that make up a data center: `node process.js ROLE [ARGUMENT...]`. Started by the testbed
 * and its scripts, never by hand.
 */
const [role, ...args] = process.argv.slice(2);

try {
  switch (role) {
    case 'service': {
      const { serveUntilKilled } = await import('./service.js');
      await serveUntilKilled(args[0] ?? '');
      break;
    }
    case 'work-service': {
      const { serveWorkUntilKilled } = await import('./control/work-service.js');
      await serveWorkUntilKilled(args[0] ?? '');
      break;
    }
    case 'control-watch': {
      const { watchControlPlane } = await import('./control/watch-process.js');
      await watchControlPlane(args[0] ?? '');
      break;
    }
    case 'udp-service': {
      const { serveUdpUntilKilled } = await import('./udp-service.js');
      await serveUdpUntilKilled(args[0] ?? '', args.slice(1));
      break;
    }
    case 'client': {
      const { serveClient } = await import('./client.js');
      serveClient();
      break;
    }
    case 'quic-server': {
      const { serveQuicUntilKilled } = await import('./quic/server.js');
      await serveQuicUntilKilled(args[0] ?? '', Number(args[1]), args[2] ?? '');
      break;
    }
    case 'holder': {
      const { hold } = await import('./holder.js');
      await hold(JSON.parse(args[0] ?? '{}'));
      break;
    }
    case 'wireguard-sessions': {
      const { publishSessions } = await import('./wireguard/session-publisher.js');
      await publishSessions(JSON.parse(args[0] ?? '{}'));
      break;
    }
    case 'wireguard-flood': {
      const { flood } = await import('./wireguard/flood.js');
      await flood(JSON.parse(args[0] ?? '{}'));
      break;
    }
    case 'needs': {
      const { printNeeds } = await import('./needs.js');
      printNeeds(args);
      break;
    }
    case 'demo': {
      const { demonstrate } = await import('./demo-inside.js');
      await demonstrate(JSON.parse(args[0] ?? '{}'));
      break;
    }
    default:
      throw new Error(`no such role: ${role}`);
  }
} catch (error) {
  process.stderr.write(`${role}: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
