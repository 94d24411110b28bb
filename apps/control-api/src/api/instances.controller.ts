import { Body, Controller, Delete, Get, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { GuestLogs } from '../logs/guest-logs.js';
import { ReadModel } from '../read-model/read-model.js';
import { Mutates, Reads } from './api-description.js';
import { Mutation } from './mutation.js';
import * as ask from './request-schemas.js';
import * as answer from './response-schemas.js';

type InstanceId = z.infer<typeof ask.instanceIdParam>;

@ApiTags('instances')
@Controller('v1/instances')
export class InstancesController {
  constructor(
    private readonly mutation: Mutation,
    private readonly readModel: ReadModel,
    private readonly logs: GuestLogs,
  ) {}

  @Get()
  @Reads('List instances, newest first', answer.pageOf(answer.instance))
  async list(@Query({ schema: ask.instancesQuery }) { minSeq, limit, ...filters }: z.infer<typeof ask.instancesQuery>) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.list('instance', filters, limit);
  }

  @Get(':instanceId')
  @Reads('Get an instance', answer.instance, 'instance-unknown')
  async get(
    @Param({ schema: ask.instanceIdParam }) { instanceId }: InstanceId,
    @Query({ schema: ask.oneQuery }) { minSeq }: z.infer<typeof ask.oneQuery>,
  ) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.get('instance', instanceId);
  }

  @Get(':instanceId/logs')
  @Reads('The end of an instance’s log', answer.logLines, 'instance-unknown')
  async tail(
    @Param({ schema: ask.instanceIdParam }) { instanceId }: InstanceId,
    @Query({ schema: ask.logsQuery }) { tail }: z.infer<typeof ask.logsQuery>,
  ) {
    return { lines: await this.logs.tail(instanceId, tail) };
  }

  @Post(':instanceId/stop')
  @Mutates('Stop an instance; its keys and data stay', answer.instanceAccepted, {
    404: 'instance-unknown',
    409: 'instance-removed',
  })
  stop(
    @Param({ schema: ask.instanceIdParam }) { instanceId }: InstanceId,
    @Body({ schema: ask.emptyBody }) _body: z.infer<typeof ask.emptyBody>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.mutation.run<'StopInstance'>(
      request,
      reply,
      () => ({ type: 'StopInstance', instanceId }),
      () => ({ instanceId }),
    );
  }

  @Delete(':instanceId')
  @Mutates('Remove an instance with its data', answer.instanceAccepted, { 404: 'instance-unknown' })
  remove(
    @Param({ schema: ask.instanceIdParam }) { instanceId }: InstanceId,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.mutation.run<'RemoveInstance'>(
      request,
      reply,
      () => ({ type: 'RemoveInstance', instanceId }),
      () => ({ instanceId }),
    );
  }
}
