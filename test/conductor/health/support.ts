import type { MonitorResult } from '../../../src/store/records.js';
import { type MonitorGroupConfig, monitorGroupShape } from '../../../src/table/control.js';

type Member = MonitorGroupConfig['members'][number];

export function member(monitor: string, settings: Partial<Member> = {}): Partial<Member> {
  return { monitor, ...settings };
}

export function group(...members: Partial<Member>[]): MonitorGroupConfig {
  return monitorGroupShape.parse({ name: 'checks', members });
}

export function up(latency: number | null = null): MonitorResult {
  return { up: true, latency, why: '' };
}

export function down(why: string): MonitorResult {
  return { up: false, latency: null, why };
}
