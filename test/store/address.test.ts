import { describe, expect, it } from 'vitest';
import { describeStore, parseStoreAddress } from '../../src/store/address.js';

describe('the address of a store', () => {
  it.each([
    ['file:/var/lib/twohop/store', 'file:/var/lib/twohop/store'],
    ['file:/var//lib/../store/', 'file:/var/store'],
    ['etcd:http://10.0.0.1:2379/twohop', 'etcd:http://10.0.0.1:2379/twohop'],
    ['etcd:http://10.0.0.1:80/a/b/', 'etcd:http://10.0.0.1:80/a/b'],
    ['etcd:http://a:1,http://[::1]:2/x', 'etcd:http://a:1,http://[::1]:2/x'],
    ['etcd:https://a:1/x', 'etcd:https://a:1/x'],
  ])('%s is read', (address, shown) => {
    expect(describeStore(parseStoreAddress(address))).toBe(shown);
  });

  it('may name a user and a password, which are not shown', () => {
    const parsed = parseStoreAddress('etcd:http://root:s%40e@10.0.0.1:2379/twohop');
    expect(parsed).toMatchObject({ auth: { username: 'root', password: 's@e' } });
    expect(describeStore(parsed)).not.toContain('root');
  });

  it.each([
    ['zookeeper:/x', /write file:/],
    ['file:relative', /begin with/],
    ['file:/', /root directory/],
    ['etcd:10.0.0.1:2379/x', /no URL|not spoken/],
    ['etcd:ftp://a:1/x', /not spoken/],
    ['etcd:http://a/x', /no port/],
    ['etcd:http://a:2379', /prefix is missing/],
    ['etcd:http://a:2379/', /prefix is missing/],
    ['etcd:http://a:1/x,http://b:2/x', /behind the last host/],
    ['etcd:http://a:1,https://b:2/x', /use one/],
    ['etcd:http://a:99999/x', /no URL/],
    ['etcd:http://a:1/x?y', /mean nothing/],
    ['etcd:http://root@a:1/x', /needs a password/],
    ['etcd:http://a:1/caf%C3%A9', /not made of/],
  ])('%s is refused with advice', (address, message) => {
    expect(() => parseStoreAddress(address)).toThrow(
      expect.objectContaining({ code: 'bad-address', message: expect.stringMatching(message) }),
    );
  });

  it('does not show a password in its complaint', () => {
    expect(() => parseStoreAddress('etcd:http://root:secret@a:1')).toThrow(/^((?!secret).)*$/);
  });
});
