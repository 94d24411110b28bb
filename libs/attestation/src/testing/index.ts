/**
 * A whole platform with its own root, to make quotes and collateral of every verdict with: for tests and benchmarks.
 * Keys made here vouch for nothing; a verifier believes them only when its caller gives it their root.
 */
export { GenuinePieces } from './genuine-pieces.js';
export { Dice, mutateBytes, mutateCollateral, mutateText } from './mutate.js';
export { TEST_FROM, TEST_NOW, TEST_UNTIL, type TestCollateral, TestPlatform, type TestQuote } from './test-platform.js';
