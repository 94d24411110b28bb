import type { AcpiDigests } from '../tdx-image/boot-digests.js';
import type { TdxImageMeasurement } from '../tdx-image/image-measurement.js';
import { readTdHobWitness } from '../tdx-image/td-hob-witness.js';
import type { TdxMachine } from '../tdx-image/vm-config.js';
import { hex, latin1 } from './sample-attestation.js';

/** R16: parts of a real TDX-lite image and boot (dstack-kms §20.3). */
export const R16_ACPI: AcpiDigests = {
  loader: hex('095d04cf26fe03aef6e3561fa24c1aa1cea93f4aeaf563b1f9f7616184c53454875925759434769cec2490acb563a337'),
  rsdp: hex('8d9a4d4777a1bc77ecd9d8d37a4628129a80052a510320159a20a923bd07a0e90d8d1f2e1ebf088992b25f0d0fa672ef'),
  tables: hex('3070721e169bc41884724cb0e6b3082e1baf249083d8b389181ba50b9afa951057876c380b8870e8c2facf2eff67a2b6'),
};
export const R16: TdxImageMeasurement = {
  version: 3,
  commandLineDigest: hex(
    '786280842b7364287a3a70d96f7e309252857beb45fb1f91314a2ea863db0adc04c8431ecbf29a966405604631a5aab8',
  ),
  kernelAuthenticode: hex(
    'ac7e632dcf5cd2a1fe5c1f41f4d9b8219570e64ed3c61038fdbf25404e6f542ffd57f276bc5076307efaf882e6d64177',
  ),
  initrdDigest: hex('4fe4f7710134a61d7def357add6ac50bdbfeee5032a4c100375e207216ffe42a3bd5822b24e679f91501fff795b81521'),
  ovmf: 'pre202505',
  mrTd: {
    singlePass: hex('a6f2ac9451810686a4db259fe8fa5438dc4a58bda9fd2f5b1fb0928335705500d29a15c92387416a2f52dddce99c83f8'),
    twoPass: hex('fd685522ce791dfef67414614eb07d03fc07a32c5a66f36288b329dab92b724b1564c73d436ffb9ea84488c51ac5a1c5'),
  },
  tdHob: readTdHobWitness(hex('80100904000609020b021010')),
};
export const R16_REGISTERS = {
  mrTd: 'fd685522ce791dfef67414614eb07d03fc07a32c5a66f36288b329dab92b724b1564c73d436ffb9ea84488c51ac5a1c5',
  rtMr0: 'f8438db36b96f85d8752ff7f24a89ec05c79ec9eda2ba732c897fb970ca429365b7471b1c054cb84f17b1c2b23ba6640',
  rtMr1: '2023546e7f3b9d1228e274f70c44d481162540f8452544520a796a52f06879709b81a824a26792a7822327504b0d2aee',
  rtMr2: '4c1b739ed451a637b0f82642e48a5ea83925d23633c72e7385c8e9aca4175e133ed1625b7d92eb39edf509c27ff392dc',
};
export const R16_MACHINE: TdxMachine = { memoryBytes: 2 ** 31, pageAddOrder: 'two-pass' };
export const R16_CHECKSUMS = latin1(
  '8c9e955f0b577cc8945a891a34ccfa5b8e08bb5e5d249992603e64dd14870e3c  measurement.tdx.cbor\n',
);
export const R16_IMAGE_HASH = 'e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db';
