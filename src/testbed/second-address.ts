import { accessLink, accessName, clientLink, clientName, ROUTER, secondAddressOf } from './addresses.js';
import { runScript } from './run.js';

/** Second addresses of clients that sit behind an access router, and of the NATs there. */

/** The router sends the address to the client's access router, which has it itself. */
export async function giveToAccess(client: number): Promise<void> {
  const { 4: address } = secondAddressOf(client);
  await runScript(accessName(client), `ip addr add ${address}/32 dev lo`);
  await runScript(ROUTER, `ip route add ${address}/32 via ${accessLink(client).own[4]}`);
}

export async function takeFromAccess(client: number): Promise<void> {
  const { 4: address } = secondAddressOf(client);
  await runScript(ROUTER, `ip route del ${address}/32`);
  await runScript(accessName(client), `ip addr del ${address}/32 dev lo`);
}

/** The addresses of both families lead to the client, and what it begins from now on comes from them. */
export async function moveClient(client: number): Promise<void> {
  const second = secondAddressOf(client);
  const link = clientLink(client);
  const access = accessLink(client);
  await runScript(
    ROUTER,
    `ip route add ${second[4]}/32 via ${access.own[4]}\nip route add ${second[6]}/128 via ${access.own[6]}`,
  );
  await runScript(
    accessName(client),
    `ip route add ${second[4]}/32 via ${link.own[4]}\nip route add ${second[6]}/128 via ${link.own[6]}`,
  );
  await runScript(
    clientName(client),
    `ip addr add ${second[4]}/32 dev eth0
ip addr add ${second[6]}/128 dev eth0 nodad
ip route replace default via ${link.peer[4]} src ${second[4]}
ip route replace default via ${link.peer[6]} src ${second[6]}`,
  );
}

export async function moveClientBack(client: number): Promise<void> {
  const second = secondAddressOf(client);
  const link = clientLink(client);
  await runScript(
    clientName(client),
    `ip route replace default via ${link.peer[4]}
ip route replace default via ${link.peer[6]}
ip addr del ${second[4]}/32 dev eth0
ip addr del ${second[6]}/128 dev eth0`,
  );
  const forget = `ip route del ${second[4]}/32\nip route del ${second[6]}/128`;
  await runScript(accessName(client), forget);
  await runScript(ROUTER, forget);
}
