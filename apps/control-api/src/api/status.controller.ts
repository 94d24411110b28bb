import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { hostRooms } from '@vouch/domain';
import { CLOCK, type Clock } from '@vouch/platform';
import type { ControlApiConfig } from '../config/control-api-config.js';
import { FleetFeed } from '../fleet/fleet-feed.js';
import { HeartbeatWatch } from '../fleet/heartbeat-watch.js';
import { OperationQueue } from '../jobs/operation-queue.js';
import { ReadModel } from '../read-model/read-model.js';
import { CONTROL_API_CONFIG } from '../tokens.js';
import { Described } from './api-description.js';
import * as answer from './response-schemas.js';

/** How the control plane itself is doing. Answers also when the database, the queue or the log do not. */
@ApiTags('status')
@Controller('v1/status')
export class StatusController {
  constructor(
    private readonly feed: FleetFeed,
    private readonly heartbeats: HeartbeatWatch,
    private readonly readModel: ReadModel,
    private readonly queue: OperationQueue,
    @Inject(CONTROL_API_CONFIG) private readonly config: ControlApiConfig,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Get()
  @ApiOperation({ summary: 'State of the control plane and room on its hosts' })
  @ApiResponse({ status: 200, description: 'Found', standardSchema: answer.status })
  @Described({})
  async status() {
    const { view, state: log } = this.feed;
    const rooms = hostRooms(view, this.clock.now(), this.heartbeats.heartbeats);
    return {
      mode: this.config.mode,
      log: { state: log.state, position: log.position, error: log.state === 'broken' ? log.error.message : null },
      projection: await this.#projection(log.position),
      jobs: { backend: this.config.jobs.backend, state: this.queue.state },
      hosts: rooms.map((room) => {
        const host = view.host(room.hostId);
        return { ...room, unsafe: host.status === 'absent' ? [] : host.unsafe };
      }),
      unfinishedOperations: [...view.unfinished()].length,
    };
  }

  async #projection(logPosition: number) {
    try {
      const position = await this.readModel.position();
      return { state: position >= logPosition ? ('current' as const) : ('behind' as const), position };
    } catch {
      return { state: 'unavailable' as const, position: null };
    }
  }
}
