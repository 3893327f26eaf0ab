import { parseIpv4 } from '../../table/address.js';
import { MAX_WEIGHT } from '../../table/edit-slots.js';
import { TableError } from '../../table/errors.js';
import { NAME_PATTERN } from '../../table/forwarding-table.js';
import type { PlannedServer } from './types.js';

/**
 * What can happen to a fleet, as a person writes it, to be planned without being done:
 *
 * ```text
 * add NAME=DIP[,weight=W][,pool=P]     a new server
 * remove NAME                          it is gone, by somebody's will
 * die NAME                             it is gone, by accident
 * drain NAME, activate NAME            no new flows for it, and again
 * fail NAME, recover NAME              its health forbids new flows, and allows them again
 * weight NAME=W
 * load NAME=X[,NAME=Y...]              a balance step with these samples
 * wait SECONDS
 * ```
 */
export type FleetEvent =
  | { readonly type: 'add'; readonly server: PlannedServer }
  | { readonly type: (typeof BY_NAME)[number]; readonly name: string }
  | { readonly type: 'weight'; readonly name: string; readonly weight: number }
  | { readonly type: 'load'; readonly loads: ReadonlyMap<string, number> }
  | { readonly type: 'wait'; readonly seconds: number };

const BY_NAME = ['remove', 'die', 'drain', 'activate', 'fail', 'recover'] as const;

const DEFAULT_POOL = 'default';
/** A week: longer waits say nothing that shorter ones do not. */
const LONGEST_WAIT = 604_800;

/** An event that cannot be; the message says what is wrong with it. */
export class FleetEventError extends Error {
  override readonly name = 'FleetEventError';
}

/** @throws FleetEventError */
export function parseEvent(text: string): FleetEvent {
  const [, type, rest] = /^\s*(\w+)\s*(.*?)\s*$/.exec(text) ?? [];
  const refuse = (message: string): never => {
    throw new FleetEventError(`event ${JSON.stringify(text)}: ${message}`);
  };
  const name = (written: string) =>
    NAME_PATTERN.test(written) ? written : refuse(`${JSON.stringify(written)} is no name of a server`);
  const number = (written: string | undefined, most: number, what: string) => {
    const value = /^\d+(\.\d+)?$/.test(written ?? '') ? Number(written) : Number.NaN;
    return value <= most ? value : refuse(`${what} is a number from 0 to ${most}`);
  };
  const known = BY_NAME.find((one) => one === type);
  if (known !== undefined) return { type: known, name: name(rest) };
  switch (type) {
    case 'add': {
      const [first, ...options] = rest.split(',');
      const [, server, dip] =
        /^([^=]*)=(.*)$/.exec(first) ?? refuse('write add NAME=DIP, like add s5=10.0.5.1');
      let weight = 1;
      let pool = DEFAULT_POOL;
      for (const option of options) {
        const [key, value] = option.trim().split('=', 2);
        if (key === 'weight') weight = number(value, MAX_WEIGHT, 'a weight');
        else if (key === 'pool') pool = name(value ?? '');
        else refuse(`${JSON.stringify(option)} is neither weight=W nor pool=P`);
      }
      return {
        type,
        server: { name: name(server.trim()), dip: address(dip.trim(), refuse), weight, pool, standing: 'in' },
      };
    }
    case 'weight': {
      const [server, weight] = rest.split('=', 2);
      return { type, name: name(server), weight: number(weight, MAX_WEIGHT, 'a weight') };
    }
    case 'load': {
      const loads = rest.split(',').map((sample): [string, number] => {
        const [server, load] = sample.trim().split('=', 2);
        return [name(server), number(load, Number.MAX_VALUE, 'a load')];
      });
      return { type, loads: new Map(loads) };
    }
    case 'wait':
      return { type, seconds: number(rest, LONGEST_WAIT, 'a time in seconds') };
    default:
      return refuse(`there are add, ${BY_NAME.join(', ')}, weight, load and wait`);
  }
}

function address(written: string, refuse: (message: string) => never): number {
  try {
    return parseIpv4(written) || refuse('0.0.0.0 is no address of a server');
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    return refuse(error.message);
  }
}

/**
 * The servers after an event; `wait` and `load` change none.
 * @throws FleetEventError when it cannot happen to these
 */
export function applyEvent(servers: readonly PlannedServer[], event: FleetEvent): readonly PlannedServer[] {
  switch (event.type) {
    case 'wait':
      return servers;
    case 'load':
      for (const name of event.loads.keys()) find(servers, name);
      return servers;
    case 'add':
      return [...servers, refuseKnown(servers, event.server)];
    case 'remove':
    case 'die':
      find(servers, event.name);
      return servers.filter(({ name }) => name !== event.name);
    case 'weight':
      return change(servers, event.name, { weight: event.weight });
    case 'drain':
      return change(servers, event.name, { standing: 'drained' });
    case 'fail':
      return change(servers, event.name, { standing: 'down' });
    case 'activate':
    case 'recover':
      return change(servers, event.name, { standing: 'in' });
  }
}

function find(servers: readonly PlannedServer[], name: string): PlannedServer {
  const server = servers.find((one) => one.name === name);
  if (server !== undefined) return server;
  const names = servers.map((one) => one.name).join(', ') || 'none';
  throw new FleetEventError(`there is no server ${name}: there are ${names}`);
}

function change(
  servers: readonly PlannedServer[],
  name: string,
  values: Partial<PlannedServer>,
): readonly PlannedServer[] {
  const changed = { ...find(servers, name), ...values };
  return servers.map((one) => (one.name === name ? changed : one));
}

function refuseKnown(servers: readonly PlannedServer[], server: PlannedServer): PlannedServer {
  const other = servers.find(({ name, dip }) => name === server.name || dip === server.dip);
  if (other === undefined) return server;
  const what = other.name === server.name ? 'name' : 'DIP';
  throw new FleetEventError(`cannot add ${server.name}: its ${what} is that of server ${other.name}`);
}
