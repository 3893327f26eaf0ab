import { isAbsolute, normalize } from 'node:path';
import { StoreError } from './store.js';

export type StoreAddress =
  | { readonly type: 'file'; readonly directory: string }
  | {
      readonly type: 'etcd';
      /** `http://HOST:PORT` or `https://HOST:PORT`, all alike. */
      readonly hosts: readonly string[];
      /** Put in front of every key; ends with a slash. */
      readonly prefix: string;
      readonly auth: { readonly username: string; readonly password: string } | null;
    };

const EXPECTED = 'write file:/PATH, or etcd:http://HOST:PORT/PREFIX with more hosts between commas';

/**
 * Reads `file:/PATH` or `etcd:http://[USER:PASSWORD@]HOST:PORT[,http://HOST:PORT...]/PREFIX`.
 * @throws StoreError `bad-address`
 */
export function parseStoreAddress(address: string): StoreAddress {
  if (address.startsWith('file:')) {
    const path = address.slice('file:'.length);
    if (!isAbsolute(path)) throw bad(address, `the path has to begin with "/": ${EXPECTED}`);
    const directory = normalize(path).replace(/(.)\/+$/, '$1');
    if (directory === '/') throw bad(address, 'the root directory cannot be a store: name one of its own');
    return { type: 'file', directory };
  }
  if (address.startsWith('etcd:')) return parseEtcd(address);
  throw bad(address, EXPECTED);
}

/** The address as it may be shown: without a password. */
export function describeStore(address: StoreAddress): string {
  if (address.type === 'file') return `file:${address.directory}`;
  return `etcd:${address.hosts.join(',')}/${address.prefix.replace(/\/$/, '')}`;
}

function parseEtcd(address: string): StoreAddress {
  const parts = address.slice('etcd:'.length).split(',');
  const urls = parts.map((part) => {
    if (!/:\d+(\/|$)/.test(part)) throw bad(address, `${JSON.stringify(part)} has no port: ${EXPECTED}`);
    try {
      return new URL(part);
    } catch {
      throw bad(address, `${JSON.stringify(part)} is no URL: ${EXPECTED}`);
    }
  });
  for (const url of urls) {
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw bad(address, `${url.protocol} is not spoken by etcd: ${EXPECTED}`);
    }
    if (url.protocol !== urls[0].protocol) throw bad(address, 'some hosts are http, some https: use one');
    if (url.search !== '' || url.hash !== '')
      throw bad(address, `"?" and "#" mean nothing here: ${EXPECTED}`);
  }
  for (const url of urls.slice(0, -1)) {
    if (url.pathname !== '/') throw bad(address, 'the prefix comes once, behind the last host');
  }
  const prefix = decodeURIComponent(urls.at(-1)?.pathname ?? '').replace(/^\/+|\/+$/g, '');
  if (prefix === '') throw bad(address, `a prefix is missing, under which the keys lie: ${EXPECTED}`);
  if (!/^[A-Za-z0-9._/-]+$/.test(prefix)) {
    throw bad(address, `the prefix ${JSON.stringify(prefix)} is not made of letters, digits and ". _ - /"`);
  }
  const { username, password } = urls[0];
  if ((username === '') !== (password === '')) {
    throw bad(address, 'a user needs a password, and a password a user: write USER:PASSWORD@HOST');
  }
  return {
    type: 'etcd',
    hosts: urls.map((url) => `${url.protocol}//${url.hostname}:${portOf(url)}`),
    prefix: `${prefix}/`,
    auth:
      username === ''
        ? null
        : { username: decodeURIComponent(username), password: decodeURIComponent(password) },
  };
}

/** URLs leave out the port that belongs to their protocol. */
function portOf({ protocol, port }: URL): string {
  return port || (protocol === 'https:' ? '443' : '80');
}

function bad(address: string, what: string): StoreError {
  // A password may be in it.
  const shown = address.replace(/\/\/[^@/,]*@/g, '//***@');
  return new StoreError('bad-address', `the store's address ${JSON.stringify(shown)} is wrong: ${what}`);
}
