import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeTableFile } from '../../src/table/table-file.js';
import { uniformTable } from '../path/support.js';
import { dip } from '../replay/support.js';

/** cluster.yaml of s1, s2, s3; web.table goes to s2, then s3; other.table to s3, then s1. */
export function writeFleetFiles(directory: string): void {
  writeFileSync(
    join(directory, 'cluster.yaml'),
    `underlay: { prefixes: [10.0.0.0/16], mtu: 1500 }
servers: [{ name: s1, dip: 10.0.1.1 }, { name: s2, dip: 10.0.2.1 }, { name: s3, dip: 10.0.3.1 }]
trafficsets:
  - { name: web, kind: tcp, vips: [192.0.2.0/24, "2001:db8:100::/64"], ports: [80], table: web.table }
`,
  );
  writeTableFile(join(directory, 'web.table'), uniformTable(dip(2), dip(3)));
  writeTableFile(join(directory, 'other.table'), uniformTable(dip(3), dip(1)));
}
