import { Controller, Get, Headers, Query, Req, Res } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { EventStreams } from '../events/event-streams.js';
import { ProblemError } from '../problems/problem-error.js';
import { ReadModel } from '../read-model/read-model.js';
import { Described, Reads } from './api-description.js';
import * as ask from './request-schemas.js';
import * as answer from './response-schemas.js';

@ApiTags('events')
@Controller('v1/events')
export class EventsController {
  constructor(
    private readonly readModel: ReadModel,
    private readonly streams: EventStreams,
  ) {}

  @Get()
  @Reads('List events in log order', answer.eventPage)
  async list(@Query({ schema: ask.eventsQuery }) { minSeq, ...filter }: z.infer<typeof ask.eventsQuery>) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.events(filter);
  }

  @Get('stream')
  @ApiOperation({
    summary: 'Follow the log as server-sent events; `id` is the position, `data` the event as in the list',
  })
  @ApiProduces('text/event-stream')
  @ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    description: 'Position to resume after; wins over `after`',
    schema: { type: 'string' },
  })
  @ApiResponse({ status: 200, description: 'A stream without end', standardSchema: answer.event })
  @Described({ 429: 'too-many-streams', 503: 'event-store-unavailable' })
  async stream(
    @Query({ schema: ask.streamQuery }) { after, ...filter }: z.infer<typeof ask.streamQuery>,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    if (request.method === 'HEAD') {
      await reply.type('text/event-stream').send();
      return;
    }
    await this.streams.serve(reply, lastEventId === undefined ? after : positionOf(lastEventId), filter);
  }
}

function positionOf(lastEventId: string): number {
  const position = /^\d{1,15}$/.test(lastEventId) ? Number(lastEventId) : undefined;
  if (position !== undefined) return position;
  const message = 'must be the position of an event: a whole number';
  throw new ProblemError({
    status: 400,
    code: 'request-invalid',
    detail: `Last-Event-ID ${message}`,
    errors: [{ field: 'Last-Event-ID', message }],
  });
}
