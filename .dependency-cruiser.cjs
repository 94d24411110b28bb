/** Arrows point one way: apps -> libs/platform -> libs/eventstore -> libs/domain; apps never import apps. */
const pureLibraries = '^libs/(domain|attestation|keys|transparency)/';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'apps-never-import-apps',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/([^/]+)/', pathNot: '^apps/$1/' },
    },
    {
      name: 'libs-never-import-apps',
      severity: 'error',
      from: { path: '^(libs|contracts|migrations)/' },
      to: { path: '^apps/' },
    },
    {
      name: 'pure-libraries-know-no-shell',
      comment:
        'domain, attestation, keys and transparency run in any Node program: no Nest, NATS, database or chain client',
      severity: 'error',
      from: { path: pureLibraries },
      to: { path: 'node_modules/(@nestjs|@nats-io|pg|typeorm|bullmq|ioredis|ethers)/' },
    },
    {
      name: 'domain-imports-only-itself',
      severity: 'error',
      from: { path: '^libs/domain/' },
      to: { path: '^(libs|apps|contracts|migrations)/', pathNot: '^libs/domain/' },
    },
    {
      name: 'pure-libraries-import-no-other-layer',
      severity: 'error',
      from: { path: '^libs/(attestation|keys|transparency)/' },
      to: { path: '^libs/(domain|eventstore|platform|testkit)/' },
    },
    {
      name: 'eventstore-below-platform',
      severity: 'error',
      from: { path: '^libs/eventstore/' },
      to: { path: '^libs/(platform|testkit|attestation|keys|transparency)/' },
    },
    {
      name: 'platform-below-apps-and-testkit',
      severity: 'error',
      from: { path: '^libs/platform/', pathNot: '\\.test\\.ts$' },
      to: { path: '^libs/(testkit|attestation|keys|transparency)/' },
    },
    {
      name: 'only-the-front-door',
      comment: 'a package is used through its index (or a declared subpath), never by reaching into its folders',
      severity: 'error',
      from: { path: '^(apps/[a-z-]+|libs/[a-z-]+|test|contracts|migrations)/' },
      to: {
        path: '^libs/[a-z-]+/(src|dist)/',
        pathNot: ['^libs/[a-z-]+/(src|dist)/(index|contract|local-servers/index|testing/index)[.]', '^$1/'],
      },
    },
    {
      name: 'tests-stay-out-of-products',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: ['\\.test\\.ts$', '^libs/testkit/'] },
      to: { path: '^libs/testkit/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '/dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] },
  },
};
