import { appendBench } from './append.js';
import { deployBench } from './deploy.js';
import { fuzzBench } from './fuzz.js';
import { grantBench } from './grant.js';
import { type Bench, runBench } from './harness.js';
import { proofBench } from './proof.js';
import { replayBench } from './replay.js';
import { verifyBench } from './verify.js';

const benches: readonly Bench[] = [
  appendBench,
  deployBench,
  proofBench,
  replayBench,
  grantBench,
  verifyBench,
  fuzzBench,
];

const [name] = process.argv.slice(2);
const bench = benches.find((candidate) => candidate.name === name);
if (bench !== undefined) {
  await runBench(bench);
} else {
  console.log('usage: npm run bench -- <name>\n');
  for (const { name: known, summary } of benches) console.log(`  ${known.padEnd(10)} ${summary}`);
  process.exitCode = name === undefined ? 0 : 1;
}
