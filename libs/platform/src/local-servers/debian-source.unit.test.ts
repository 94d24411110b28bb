import { describe, expect, test } from 'vitest';
import { mainArchive, parseDeb822Sources, parseOneLineSources } from './debian-source.js';
import { isAtLeast } from './server-binary.js';

describe('Debian sources', () => {
  test('deb822: the main archive is found among security and third parties', () => {
    const sources = parseDeb822Sources(`Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security

Types: deb
URIs: https://third.example/repo
Suites: bookworm
`);
    expect(mainArchive(sources, 'bookworm')).toEqual({
      uri: 'http://mirror.example/debian',
      suites: ['bookworm', 'bookworm-updates'],
      signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
    });
  });

  test('one-line form, with and without options; comments and sources of source packages are left out', () => {
    const sources = parseOneLineSources(`# deb http://commented.example/debian bookworm main
deb-src http://src.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian/ bookworm main contrib
deb cdrom:[Debian]/ bookworm main
`);
    expect(sources).toEqual([{ uri: 'http://mirror.example/debian/', suites: ['bookworm'], signedBy: '/k.gpg' }]);
  });

  test('a disabled stanza and a machine of another suite give nothing', () => {
    const sources = parseDeb822Sources('Types: deb\nEnabled: no\nURIs: http://m.example/debian\nSuites: bookworm\n');
    expect(mainArchive(sources, 'bookworm')).toBeUndefined();
    expect(mainArchive(parseOneLineSources('deb http://m.example/debian sid main'), 'bookworm')).toBeUndefined();
  });
});

describe('version floor', () => {
  test.each([
    ['2.10.27', true],
    ['2.10.28', true],
    ['2.15.1', true],
    ['3.0.0', true],
    ['2.10.26', false],
    ['2.9.10', false],
    ['1.99.99', false],
  ])('%s', (version, isTaken) => {
    expect(isAtLeast(version, '2.10.27')).toBe(isTaken);
  });
});
