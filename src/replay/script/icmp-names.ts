/** ICMP errors by name, as packet lines write them. Sources: RFC 792, RFC 4443. */

interface IcmpError {
  readonly type: number;
  readonly code: number;
}

const ERRORS: Readonly<Record<string, { readonly v4?: IcmpError; readonly v6?: IcmpError }>> = {
  'port-unreachable': { v4: { type: 3, code: 3 }, v6: { type: 1, code: 4 } },
  'host-unreachable': { v4: { type: 3, code: 1 }, v6: { type: 1, code: 3 } },
  'protocol-unreachable': { v4: { type: 3, code: 2 } },
  'fragmentation-needed': { v4: { type: 3, code: 4 } },
  'packet-too-big': { v6: { type: 2, code: 0 } },
  'source-quench': { v4: { type: 4, code: 0 } },
  redirect: { v4: { type: 5, code: 1 } },
  'time-exceeded': { v4: { type: 11, code: 0 }, v6: { type: 3, code: 0 } },
  'parameter-problem': { v4: { type: 12, code: 0 }, v6: { type: 4, code: 0 } },
};

export const ICMP_ERROR_NAMES: readonly string[] = Object.keys(ERRORS);

/** Undefined where the family has no such error. */
export function icmpErrorOf(name: string, isIpv6: boolean): IcmpError | undefined {
  return isIpv6 ? ERRORS[name]?.v6 : ERRORS[name]?.v4;
}
