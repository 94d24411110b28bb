import {
  encodeEntries,
  encodeTile,
  MAX_BUNDLE_ENTRY_BYTES,
  nodeKey,
  nodesOfTile,
  parseTilePath,
  TILE_WIDTH,
  tileFits,
} from '@vouch/transparency';
import type { DataSource } from 'typeorm';
import { withSession } from '../database/sql-session.js';
import { bytesOf, readNodes } from '../projector/merkle-store.js';
import { ReceiptError } from './receipt-error.js';
import type { ReceiptService } from './receipt-service.js';

/** Serves the log in the C2SP tlog-tiles layout, from what is persisted, up to the last signed checkpoint. */
export class TileService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly checkpoints: Pick<ReceiptService, 'checkpoint'>,
  ) {}

  /** Bytes of the tile or bundle at `tile/<path>`. Throws ReceiptError `tile-unknown`. */
  async read(path: string): Promise<Uint8Array> {
    const tile = parseTilePath(path);
    const { size } = await this.checkpoints.checkpoint();
    const { level, index, width } = tile ?? { level: 0, index: 0, width: 0 };
    if (tile === undefined || !tileFits({ level: level === 'entries' ? 0 : level, index, width }, size)) {
      throw unknown(`the log of ${size} events has no tile ${path.slice(0, 100)}`);
    }
    return level === 'entries' ? await this.#entries(index, width) : await this.#hashes({ level, index, width });
  }

  async #hashes(tile: { level: number; index: number; width: number }): Promise<Uint8Array> {
    const ids = nodesOfTile(tile);
    const nodes = await withSession(this.dataSource, (session) => readNodes(session, ids));
    return encodeTile(
      ids.map((id) => {
        const hash = nodes.get(nodeKey(id));
        if (hash === undefined) {
          throw new ReceiptError('receipt-unprovable', `Merkle node ${nodeKey(id)} is missing`, false);
        }
        return hash;
      }),
    );
  }

  async #entries(index: number, width: number): Promise<Uint8Array> {
    const first = index * TILE_WIDTH + 1;
    const { rows } = await withSession(this.dataSource, (session) =>
      session.query('select bytes from event where seq between $1 and $2 order by seq', [first, first + width - 1]),
    );
    if (rows.length !== width)
      throw new ReceiptError('receipt-unprovable', `events of bundle ${index} are missing`, false);
    const entries = rows.map(({ bytes }) => bytesOf(bytes));
    if (entries.some(({ length }) => length > MAX_BUNDLE_ENTRY_BYTES)) {
      throw unknown(
        `bundle ${index} holds an event above ${MAX_BUNDLE_ENTRY_BYTES} bytes, which the layout cannot carry`,
      );
    }
    return encodeEntries(entries);
  }
}

function unknown(message: string): ReceiptError {
  return new ReceiptError('tile-unknown', message, false);
}
