import { describe, expect, it } from 'vitest';
import { changeServer } from '../../src/conductor/servers.js';
import { MemoryStore } from '../../src/store/memory.js';
import { editVips } from '../../src/store/vips.js';

const ADD = { type: 'add', weight: 1, pool: 'default' } as const;
const OPTIONS = { cluster: null, force: false };

describe('changeServer', () => {
  it('refuses a DIP that lies in a VIP range that came at run time', async () => {
    const store = new MemoryStore();
    await editVips(store, 'web', { add: ['2001:db8::/64', '198.51.100.0/24'] });
    await expect(changeServer(store, 's5', { ...ADD, dip: '198.51.100.7' }, OPTIONS)).rejects.toThrow(
      '198.51.100.7 lies in 198.51.100.0/24, a VIP range of trafficset web',
    );
    expect(await store.get('servers/s5')).toBeNull();
    const { record } = await changeServer(store, 's5', { ...ADD, dip: '198.51.101.7' }, OPTIONS);
    expect(record).toEqual({ dip: '198.51.101.7', weight: 1, pool: 'default', state: 'active' });
    await store.close();
  });
});
