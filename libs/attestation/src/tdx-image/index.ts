export {
  type AppraiseBootResult,
  type AppraisedBoot,
  type AppraiseLiteResult,
  appraiseTdxBoot,
  appraiseTdxLite,
  TDX_BOOT_CHECKS,
  TDX_LITE_CHECKS,
} from './appraise-boot.js';
export { authenticode } from './authenticode.js';
export { type AcpiDigests, acpiDigests, commandLineDigest } from './boot-digests.js';
export { osImageHash, TDX_MEASUREMENT_FILE } from './checksum-file.js';
export { readTdxMeasurement, type TdxImageMeasurement, writeTdxMeasurement } from './image-measurement.js';
export { measureTdxImage, type TdxImage } from './measure-image.js';
export { type PageAddOrder, tdvfMrtd } from './mrtd.js';
export { predictTdxBoot, type TdxBoot, type TdxBootMaterial } from './predict-boot.js';
export { type TdHobLayout, tdHobDigest } from './td-hob.js';
export { parseTdvf, type Tdvf, type TdvfSection } from './tdvf.js';
export { readTdxVmConfig, type TdxMachine, type TdxVmConfig } from './vm-config.js';
