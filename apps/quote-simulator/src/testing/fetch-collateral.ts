import type { QuoteCollateralV3 } from '@vouch/attestation';

/**
 * The documents of a collateral service as they are, whatever they are: unlike a `CollateralClient`, which keeps only what
 * is genuine and in time, so that a verifier can be shown the rest.
 */
export async function fetchCollateral(pccs: string, tee: 'tdx' | 'sgx', fmspc: string): Promise<QuoteCollateralV3> {
  const get = async (path: string): Promise<Response> => {
    const response = await fetch(`${pccs}/${path}`);
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    return response;
  };
  const [tcb, identity, pckCrl, rootCrl] = await Promise.all([
    get(`${tee}/certification/v4/tcb?fmspc=${fmspc}`),
    get(`${tee}/certification/v4/qe/identity`),
    get('sgx/certification/v4/pckcrl?ca=platform&encoding=der'),
    get('sgx/certification/v4/rootcacrl'),
  ]);
  const [tcbInfo, qeIdentity] = [split(await tcb.text(), 'tcbInfo'), split(await identity.text(), 'enclaveIdentity')];
  return {
    tcb_info: tcbInfo.text,
    tcb_info_signature: tcbInfo.signature,
    tcb_info_issuer_chain: chain(tcb, 'TCB-Info-Issuer-Chain'),
    qe_identity: qeIdentity.text,
    qe_identity_signature: qeIdentity.signature,
    qe_identity_issuer_chain: chain(identity, 'SGX-Enclave-Identity-Issuer-Chain'),
    pck_crl: Buffer.from(await pckCrl.arrayBuffer()).toString('hex'),
    pck_crl_issuer_chain: chain(pckCrl, 'SGX-PCK-CRL-Issuer-Chain'),
    root_ca_crl: await rootCrl.text(),
  };
}

/** `{"<name>":<text>,"signature":"…"}`: the exact text and the signature. */
function split(body: string, name: string): { readonly text: string; readonly signature: string } {
  const end = body.lastIndexOf(',"signature"');
  const { signature } = JSON.parse(body) as { signature: string };
  return { text: body.slice(`{"${name}":`.length, end), signature };
}

function chain(response: Response, name: string): string {
  return decodeURIComponent(response.headers.get(name) ?? '');
}
