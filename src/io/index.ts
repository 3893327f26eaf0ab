/** Ports that move packets, and the lookup of sockets. Reading the wire is `wire/`'s business, deciding `path/`'s. */
export { monotonicMilliseconds } from './clock.js';
export { DestroyEvents } from './destroy-events.js';
export type { GueReceiverOptions } from './gue-socket.js';
export {
  type ListedFlow,
  type ListedListener,
  ListedSockets,
  type ListedSocketsOptions,
} from './listed-sockets.js';
export { MemoryPort, type SentPacket } from './memory.js';
export { interfaceMtu, setInterfaceMtu } from './net-device.js';
export { Poller, WakeEvent } from './poller.js';
export type { PacketSink, PacketSource, PortCounters } from './port.js';
export { RawSender, type RawSenderOptions } from './raw.js';
export { RawSocketPackageSender } from './raw-socket-package.js';
export { KernelSockets } from './sock-diag.js';
export {
  type CacheCounters,
  CachedSockets,
  type CachedSocketsOptions,
  type SharedSocketState,
} from './socket-cache.js';
export type { DurableLookup, SocketEnds } from './socket-ends.js';
export { SystemError } from './system-error.js';
export { type TunOptions, TunPort } from './tun.js';
export { GueReceiver } from './udp.js';
export { type Faults, FaultyPort, type Trace, TracingPort } from './wrappers.js';
