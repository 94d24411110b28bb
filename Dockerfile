# One image for every service of the development stack; docker-compose.dev.yml chooses what each container runs.
FROM node:24.21.0-bookworm-slim
WORKDIR /app
ENV VOUCH_DATA=/data NODE_ENV=development
COPY package.json package-lock.json .npmrc ./
COPY apps ./apps
COPY libs ./libs
COPY contracts ./contracts
COPY migrations ./migrations
COPY test ./test
COPY examples ./examples
COPY scripts ./scripts
COPY tsconfig.json tsconfig.base.json ./
RUN npm ci --no-audit --no-fund && node node_modules/typescript-native/bin/tsc -b
ENTRYPOINT ["node", "--enable-source-maps"]
