import koffi from 'koffi';
import { Poller, WakeEvent } from '../../src/io/poller.js';
import { CachedSockets } from '../../src/io/socket-cache.js';
import { DataPlaneLoop } from '../../src/node/data-plane-loop.js';
import { widenInlining } from '../../src/node/engine.js';
import { openPorts } from '../../src/node/ports.js';
import { PacketBatch } from '../../src/path/batch.js';
import { PathCounters } from '../../src/path/counters.js';
import { Forwarder } from '../../src/path/forwarder.js';
import { Redirector } from '../../src/path/redirector.js';
import { PathState } from '../../src/path/state.js';
import { ForwardingTable, newSlots } from '../../src/table/forwarding-table.js';
import { encodeBlob } from './blob.js';
import { SocketSet } from './socket-set.js';
import { Twin } from './twin.js';
import { pathConfig } from './workload.js';

/**
 * One server's data plane in the namespace it is started in, until it is killed: the node's loop, with offload or
 * without, or the native loop. The network is set up by tcp-child.ts.
 */

export type PlaneMode = 'offload' | 'plain' | 'native';

export interface PlaneSpec {
  readonly mode: PlaneMode;
  readonly dip: number;
  /** Every flow's server. */
  readonly owner: number;
  /** Every bucket's second hop: sockets are then looked up in the kernel. None without. */
  readonly secondHop?: number;
  readonly mtu: number;
  /** The native twin. */
  readonly library: string;
}

const TUN = 'lb0';
const BUCKETS = 4096;

function run(spec: PlaneSpec): void {
  widenInlining();
  const slots = newSlots(BUCKETS);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    slots[2 * bucket] = spec.owner;
    slots[2 * bucket + 1] = spec.secondHop ?? 0;
  }
  const base = pathConfig(spec.dip);
  const config = {
    ...base,
    underlayMtu: spec.mtu,
    trafficsets: base.trafficsets.map((trafficset) => ({
      ...trafficset,
      table: new ForwardingTable({
        trafficset: trafficset.name,
        version: 1,
        hashKey: Buffer.from('0001020304050607', 'hex'),
        slots,
      }).shared(),
    })),
  };
  const ports = openPorts(
    {
      tun: TUN,
      maxPacket: spec.mtu,
      path: config,
      sender: 'mmsg',
      tunBatch: 'auto',
      offload: spec.mode === 'offload' ? 'auto' : 'off',
    },
    () => {},
  );
  if (spec.mode === 'offload' && ports.offload.offload === 'off') throw new Error(ports.offload.reason);
  const wake = WakeEvent.create();
  process.stdout.write('ready\n');
  if (spec.mode === 'native') {
    const twin = new Twin(spec.library, encodeBlob(config, []));
    const { slotSize } = new PacketBatch(ports.batch);
    koffi
      .load(spec.library)
      .func(
        'int twin_loop(void *state, int tun, int gue, int wake, int slot_size, int max_packet, double duration, double *out)',
      )(twin.state(), ports.tun.fd, ports.gue.fd, wake.fd, slotSize, spec.mtu, 1e9, new Float64Array(4));
    return;
  }
  const state = new PathState(config);
  const counters = new PathCounters(state.trafficsets.length);
  const sockets =
    spec.secondHop === undefined ? new SocketSet([]) : CachedSockets.overKernel(CachedSockets.sharedState());
  const loop = new DataPlaneLoop(
    ports,
    new Forwarder(state, counters, sockets, ports.batch.capacity),
    new Redirector(state, counters, sockets, ports.batch.capacity),
    sockets,
    ports.batch,
  );
  const poller = new Poller([ports.tun.fd, ports.gue.fd, wake.fd]);
  for (;;) {
    poller.wait(loop.pending ? 0 : 100);
    loop.drain(poller.ready(0), poller.ready(1));
  }
}

run(JSON.parse(process.argv[2]) as PlaneSpec);
