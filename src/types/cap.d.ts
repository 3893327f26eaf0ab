/** The part of `cap` that is used here; the package ships no declarations. */
declare module 'cap' {
  interface Device {
    readonly name: string;
  }

  export class Cap {
    static deviceList(): Device[];
    /**
     * Starts to capture: each packet is put at the start of `buffer`, where it stays until the listener returns.
     * @param bufferSize bytes for packets that wait in the kernel
     * @returns the link type: `ETHERNET`, `NULL`, `RAW`, `LINKTYPE_LINUX_SLL`, `IEEE802_11_RADIO`, `Unknown linktype N`
     * @throws Error
     */
    open(device: string, filter: string, bufferSize: number, buffer: Buffer): string;
    on(event: 'packet', listener: (length: number, truncated: boolean) => void): this;
    close(): boolean;
  }
}
