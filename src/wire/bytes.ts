/** Copies `bytes` to `offset` without making a view for it. */
export function writeBytes(data: DataView, offset: number, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) data.setUint8(offset + i, bytes[i]);
}
